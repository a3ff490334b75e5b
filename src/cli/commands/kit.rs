//! `drctl kit`: the go-bag. One signed file with plans, settings, last observations and unfinished runs.

use std::collections::BTreeSet;
use std::path::Path;

use ssh_key::HashAlg;

use crate::app::clock::now;
use crate::app::context::{Context, SANDBOX_BEGAN};
use crate::app::error::AppError;
use crate::app::files::write_private;
use crate::app::plan_files::SECRET;
use crate::app::{environment, exit, ledger, live_drill, pending_fences, run_states, store_key};
use crate::cli::args::{Global, KitArgs, KitCommand};
use crate::cli::printer::Printer;
use crate::files::{self, Use};
use crate::journal::kit::{self, Contents};
use crate::journal::{Journal as _, written};
use crate::model::ids::Digest;
use crate::model::ledger::{StoreWorld, Why};
use crate::model::plain::count;
use crate::plan::settings::secrets_in;
use crate::record::event::WorldKind;
use crate::run::RunState;

/// Creates a go-bag.
pub fn run(global: &Global, printer: &Printer, args: &KitArgs) -> Result<u8, AppError> {
    let KitCommand::Export { to, unsigned } = &args.command;
    let context = Context::load(&global.options(), printer)?;
    let usual = if context.is_rehearsal() { "drctl-kit-sandbox.json" } else { "drctl-kit.json" };
    let to = to.as_deref().unwrap_or_else(|| Path::new(usual));
    replaces(to, context.world())?;
    let contents = packed(&context)?;
    let store = context.store()?;
    let key = match unsigned {
        true => None,
        false => {
            // The ledger records the signing key, and that data left the store.
            let at = ledger::dated(printer, &store, contents.made_at)?;
            ledger::checkpoint(&context, &store, at, (Why::Export, None))?;
            Some(store_key::key(&store)?)
        }
    };
    let failed = |why: String| AppError::usage(format!("drctl cannot sign the go-bag: {why}"));
    let bytes = kit::seal(&contents, key.as_ref()).map_err(failed)?;
    write_private(to, &bytes)?;
    let (plans, seen, runs) = (contents.plans.len(), contents.observations.len(), contents.runs.len());
    let signed_by = key.as_ref().map(|key| key.public_key().fingerprint(HashAlg::Sha256).to_string());
    let digest = Digest::of_bytes(&bytes);
    let how = signed_by.as_ref().map_or_else(
        || "UNSIGNED: to use it, a person must add --accept-unsigned-kit NAME:REASON".to_owned(),
        |key| format!("signed with {key}; on another machine, use --kit-key {key}"),
    );
    let words = format!(
        "wrote {}: {}, {}, {}, {how}",
        to.display(),
        count(plans, "plan"),
        count(seen, "observation"),
        count(runs, "unfinished run or run with pending duties|unfinished runs or runs with pending duties"),
    );
    let document = serde_json::json!({
        "schema_version": 1, "kit": to.display().to_string(), "plans": plans, "observations": seen,
        "unfinished_runs": runs, "digest": digest, "signed_by": signed_by,
    });
    printer.tell(&words, &document);
    Ok(exit::DONE)
}

/// Refuses to replace a live go-bag with one of a rehearsal, which is useless in an outage.
fn replaces(to: &Path, world: StoreWorld) -> Result<(), AppError> {
    let there = files::read(to, Use::Kit).ok().and_then(|bytes| kit::world(&bytes));
    match there.filter(|there| *there != world) {
        None => Ok(()),
        Some(there) => {
            let of = if there == StoreWorld::Live { "the live store" } else { "rehearsals" };
            Err(AppError::usage_fix(
                format!("{} is a go-bag of {of}, and drctl does not replace it", to.display()),
                "name another file with --to",
            ))
        }
    }
}

/// The content of the go-bag.
fn packed(context: &Context) -> Result<Contents, AppError> {
    let store = context.store()?;
    let mut plans = Vec::new();
    if let Some((path, bytes)) = &context.settings_text
        && let Some(found) = secrets_in(&path.display().to_string(), bytes).into_iter().next()
    {
        return Err(AppError::usage_fix(format!("{}: {}", path.display(), found.message), found.fix));
    }
    for file in context.plan_files(&[])? {
        let (checked, text) = context.check_file(&file)?;
        if let Some(found) = checked.findings.iter().find(|finding| finding.id == SECRET) {
            return Err(AppError::usage_fix(
                format!("{}: {}", file.display(), found.message),
                found.fix.clone(),
            ));
        }
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        plans.push((name, text));
    }
    let mut unfinished = Vec::new();
    let states = run_states::all(&store)?;
    let debts = pending_fences::debts(&states).into_iter().map(|d| d.run);
    let half =
        |state: &RunState| live_drill::halfway(&state.created.plan, &states).map(|s| s.created.run.clone());
    // A finished run with a pending fence or a pending return is included, because whoever continues elsewhere needs it.
    let pending_uploads: BTreeSet<_> = debts.chain(states.iter().filter_map(half)).collect();
    for row in store.runs()?.into_iter().filter(|r| !r.finished || pending_uploads.contains(&r.run)) {
        unfinished.push(store.read(&row.run)?.iter().map(written::line).collect());
    }
    let sandbox = |scenario| WorldKind::Sandbox { scenario, seed: context.seed(), began: SANDBOX_BEGAN };
    let world = context.scenario()?.map_or(WorldKind::Live, |scenario| sandbox(scenario.name.to_owned()));
    Ok(Contents {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now()?,
        made_by: environment::os_identity(),
        world,
        settings: context.settings_text.as_ref().map(|(_, b)| String::from_utf8_lossy(b).into_owned()),
        plans,
        observations: store.all_remembered()?,
        runs: unfinished,
    })
}
