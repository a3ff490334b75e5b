//! Withdraws a promotion that was requested but has not begun: stops the standby through its host and starts it as a standby
//! again.

use super::Postgres;
use super::host::{self, Trust, head};
use super::session::Failure;
use crate::adapters::secrets::Login;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::{DatabaseRef, Host};
use crate::kinds::shared::rebuild::JobStage;
use crate::model::again::Again;
use crate::model::time::Dur;
use crate::run::outcome::CallOutcome;

/// Runs on the host.
const JOB: &str = include_str!("withdraw.sh");
/// Interval between two looks at the job.
const LOOK: Dur = Dur(300);
/// How often the job may be seen neither running nor ended.
const GONE: u32 = 10;
/// Limit on stopping and starting together: each has a minute.
const MOST: Dur = Dur::mins(3);
/// Limit on the time until a started server answers.
const ANSWERS: Dur = Dur::secs(30);

fn job(host: &Host, key: &str, trust: &Trust, checkpointer: i32) -> String {
    let (checkpointer, supervised) =
        (checkpointer.to_string(), if host.stop.is_empty() { "" } else { "yes" });
    format!("{}{JOB}", head(host, key, trust, &[("CHECKPOINTER", &checkpointer), ("SUPERVISED", supervised)]))
}

impl Postgres {
    /// Withdraws it. Accepted means that the server was started after that and answers as a standby.
    pub async fn withdraw(
        &self,
        db: &DatabaseRef,
        (endpoint, login): (&str, &Login),
        key: &str,
    ) -> CallOutcome {
        let checkpointer = match self.checkpointer(Some((endpoint, login))).await {
            Ok(Some(pid)) => pid,
            Ok(None) => return CallOutcome::NotSent { why: format!("{} does not answer", db.id) },
            Err(failure) => return host::refused(failure),
        };
        let started = async {
            let host = host::of_database(db)?;
            let trust = Trust::from_settings(&self.settings)?;
            host::start(host, key, "", &job(host, key, &trust, checkpointer)).await
        };
        if let Err(failure) = self.within(started).await {
            return host::refused(failure);
        }
        match self.ended(db, key).await {
            Ok(()) => self.is_a_standby(db, (endpoint, login)).await,
            Err(failure) => host::refused(failure),
        }
    }

    /// Waits for the job to end. If it failed, the error says why.
    async fn ended(&self, db: &DatabaseRef, key: &str) -> Result<(), Failure> {
        let deadline = self.world.now() + MOST;
        let mut gone = 0;
        loop {
            self.world.sleep_until(self.world.now() + LOOK).await;
            let last = match self.within(host::look(db, key)).await {
                Ok(job) => match job.stage {
                    JobStage::Ended { exit: 0 } => return Ok(()),
                    // The job may start or end between two looks, so it counts as gone only if that lasts.
                    JobStage::Gone if gone < GONE => {
                        gone += 1;
                        job.tail
                    }
                    JobStage::Ended { .. } | JobStage::Gone => {
                        let last = job.tail.lines().last().unwrap_or("the job ended without an explanation");
                        return Err(Failure::Refused("Host".to_owned(), last.to_owned()));
                    }
                    _ => job.tail,
                },
                Err(failure) => failure.why(),
            };
            if self.world.now() >= deadline {
                return Err(Failure::Unclear(format!("not finished within {MOST}: {last}")));
            }
        }
    }

    async fn is_a_standby(&self, db: &DatabaseRef, (endpoint, login): (&str, &Login)) -> CallOutcome {
        let deadline = self.world.now() + ANSWERS;
        loop {
            match self.server(db, endpoint, login).await {
                Observation::Value { state: State::Database(state), .. } if state.is_replica() => {
                    return CallOutcome::Accepted { token: None };
                }
                Observation::Value { .. } => {
                    let why = format!("{} takes writes, because it was promoted earlier", db.id);
                    return CallOutcome::Refused { code: "Promoted".to_owned(), why, again: Again::Never };
                }
                seen if self.world.now() >= deadline => {
                    let why = format!("drctl started {}, but {}", db.id, seen.why_not());
                    return CallOutcome::InDoubt { why };
                }
                _ => self.world.sleep_until(self.world.now() + LOOK).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_with_a_supervisor_is_stopped_by_it() {
        let host = |stop: &[&str]| Host {
            run: vec!["ssh".to_owned()],
            data: "/data".to_owned(),
            bin: None,
            config: None,
            stop: stop.iter().map(|word| (*word).to_owned()).collect(),
            start: Vec::new(),
            replication_secret: String::new(),
        };
        assert!(job(&host(&[]), "k", &Trust::Nothing, 7).contains("SUPERVISED=''\n"));
        let text = job(&host(&["systemctl", "stop", "postgresql"]), "k", &Trust::Nothing, 7);
        assert!(text.contains("SUPERVISED='yes'\n") && text.contains("CHECKPOINTER='7'\n"));
        assert!(text.contains("stop() { 'systemctl' 'stop' 'postgresql'; }"));
    }
}
