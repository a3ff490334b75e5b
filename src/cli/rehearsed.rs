//! Makes every command in a rehearsal's output a rehearsal command, so that nobody copies a live command from it.

use std::sync::OnceLock;

use super::args;

const PROGRAM: &str = "drctl ";

/// Commands that get `--sandbox` in the output of a rehearsal.
fn verbs() -> &'static [String] {
    static VERBS: OnceLock<Vec<String>> = OnceLock::new();
    VERBS.get_or_init(|| {
        let all = args::command();
        let names = all.get_subcommands().map(|verb| verb.get_name());
        names.filter(|name| args::rehearses(name)).map(str::to_owned).collect()
    })
}

/// The same text, with `--sandbox` in each command that lacks it.
pub fn commands(text: &str) -> String {
    let mut parts = text.split(PROGRAM);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let verb: String = part.chars().take_while(|c| c.is_ascii_lowercase()).collect();
        let starts_a_word =
            out.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"/-_.".contains(c));
        // A go-bag is always made of the live store.
        let lacks = verb != "kit" && verbs().contains(&verb) && starts_a_word && !part.contains("--sandbox");
        out.push_str(PROGRAM);
        out.push_str(if lacks { "--sandbox " } else { "" });
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn a_command_of_a_rehearsal_says_so_once() {
        for (said, shown) in [
            (
                "drctl reprotect shop --to west, or drctl failback",
                "drctl --sandbox reprotect shop --to west, or drctl --sandbox failback",
            ),
            ("next: drctl runs resume R --sandbox", "next: drctl runs resume R --sandbox"),
            (
                "drctl runs resume R --sandbox; or drctl failback",
                "drctl runs resume R --sandbox; or drctl --sandbox failback",
            ),
            ("drctl check, drctl.yaml, drctl is a program", "drctl check, drctl.yaml, drctl is a program"),
            ("schedule drctl kit export", "schedule drctl kit export"),
            ("/usr/bin/drctl status", "/usr/bin/drctl status"),
        ] {
            assert_eq!(commands(said), shown);
        }
    }
}
