//! Scripts on hosts: what their exit codes mean.

use drctl::adapters::host::{HostFailure, run_script};
use drctl::world::World;

fn ran(run: &[&str], script: &str) -> Result<String, HostFailure> {
    let run: Vec<String> = run.iter().map(|word| (*word).to_owned()).collect();
    let world = World::live().unwrap();
    world.block_on(run_script(&run, script))
}

#[test]
fn the_exit_code_of_a_script_says_what_became_of_it() {
    let here = |script: &str| ran(&["env"], script);
    assert_eq!(here("echo done; echo noise >&2"), Ok("done\n".to_owned()));
    assert_eq!(here("echo locked >&2; exit 75"), Err(HostFailure::Busy("locked".to_owned())));
    assert_eq!(here("echo no route >&2; exit 255"), Err(HostFailure::InDoubt("env: no route".to_owned())));
    let other = HostFailure::Ended { code: 3, why: "wrong content".to_owned() };
    assert_eq!(here("echo wrong content >&2; exit 3"), Err(other));
    // Nobody knows how far a script came that a signal ended.
    assert_eq!(here("kill -9 $$"), Err(HostFailure::InDoubt("a signal ended env".to_owned())));
}

#[test]
fn a_host_without_a_command_gets_no_script() {
    assert_eq!(ran(&[], "true"), Err(HostFailure::NoProgram));
    let missing = ran(&["/nowhere/ssh", "web-1"], "true");
    assert!(
        matches!(&missing, Err(HostFailure::NotStarted(why)) if why.starts_with("/nowhere/ssh: ")),
        "{missing:?}"
    );
}

#[test]
fn an_output_without_end_is_no_result() {
    let long = ran(&["env"], "head -c 4200000 /dev/zero");
    assert_eq!(long, Err(HostFailure::InDoubt("env printed more than 4 MiB".to_owned())));
}
