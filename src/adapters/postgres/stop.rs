//! The fence that stops the server through its host: a mark in its data folder makes it start only as a standby.
//!
//! The proof is either the mark, no process in the data folder, no `postmaster.pid` and a port that refuses connections; or a
//! server that somebody started again and that answers as a standby. No answer proves nothing.

use std::io::ErrorKind;

use tokio::net::TcpStream;

use super::Postgres;
use super::fence::open_state;
use super::host::{self, Trust, fields, head};
use super::session::{Failure, parts};
use crate::adapters::secrets::Login;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::{DatabaseRef, Host};
use crate::kinds::shared::fence::{FenceStage, FenceState};
use crate::model::time::Dur;
use crate::run::outcome::CallOutcome;

/// Runs on the host.
const JOB: &str = concat!(include_str!("this_server.sh"), include_str!("stop.sh"));
/// Limit on stopping and starting: each has two minutes, plus a minute for stopping by force.
const MOST: Dur = Dur::mins(5);
/// Limit on the time until a port refuses a connection.
const REFUSES: Dur = Dur::secs(3);

/// An action on the host.
#[derive(Clone, Copy)]
enum Do {
    Look,
    Set,
    Lift,
}

/// What the host reports about the server.
#[derive(Debug, Default, PartialEq, Eq)]
struct StopReport {
    /// `ours`, `others` or `none`.
    mark: String,
    pid: Option<String>,
    processes: Vec<String>,
    obstacles: Vec<String>,
}

/// What happens on a connection to the endpoint.
#[derive(Debug, PartialEq, Eq)]
enum Port {
    Refuses,
    Answers,
    Silent(String),
}

/// What a job on a host says if the server of the endpoint does not run there, or no longer.
const GONE: &str = "the endpoint answers, but no server runs in ";

fn job(host: &Host, key: &str, what: Do, (checkpointer, port): (Option<i32>, u16)) -> String {
    let checkpointer = checkpointer.map_or_else(String::new, |pid| pid.to_string());
    let what = match what {
        Do::Look => "look",
        Do::Set => "set",
        Do::Lift => "lift",
    };
    let port = port.to_string();
    let own = [("CHECKPOINTER", checkpointer.as_str()), ("PORT", &port), ("DO", what)];
    format!("{}{JOB}", head(host, key, &Trust::Nothing, &own))
}

fn read(text: &str) -> StopReport {
    let mut seen = StopReport::default();
    for line in text.lines().map(fields) {
        match line.as_slice() {
            [name, value] if name == "mark" => seen.mark.clone_from(value),
            [name, value] if name == "pid" => seen.pid = Some(value.clone()),
            [name, value] if name == "process" => seen.processes.push(value.clone()),
            [name, value] if name == "obstacle" => seen.obstacles.push(value.clone()),
            _ => {}
        }
    }
    seen
}

/// The fence state that follows from this. `standby` is whether an answering server is a standby; `None` if none answers.
fn judged(seen: &StopReport, port: &Port, standby: Option<bool>, data: &str) -> FenceState {
    let stage = |stage, proof: &str| FenceState { stage, ..open_state(proof) };
    let held = |proof: &str| FenceState { proven: true, ..stage(FenceStage::Proven, proof) };
    match seen.mark.as_str() {
        "ours" => {}
        "others" => {
            let replica = open_state("it is a replica, which takes no writes, so drctl does not fence it");
            return FenceState { replica: true, ..replica };
        }
        _ => {
            let runs = match seen.processes.is_empty() {
                true => "it is stopped, but if anything starts it, it starts as a writer",
                false => "it runs",
            };
            return FenceState { obstacles: seen.obstacles.clone(), ..open_state(runs) };
        }
    }
    if !seen.processes.is_empty() || seen.pid.is_some() {
        return match standby {
            Some(true) if seen.obstacles.is_empty() => held(&format!(
                "somebody started it again, but standby.signal in {data} made it a standby, which takes no writes"
            )),
            _ => stage(
                FenceStage::Partial,
                &format!(
                    "not proven: standby.signal is in {data}, but the server still runs (processes {}, postmaster.pid {})",
                    seen.processes.join(", "),
                    seen.pid.as_deref().unwrap_or("gone")
                ),
            ),
        };
    }
    match port {
        Port::Refuses => held(&format!(
            "the server is stopped: no process works in {data}, postmaster.pid is gone, its port refuses, and standby.signal keeps it from coming back as a writer"
        )),
        Port::Answers => stage(
            FenceStage::Ineffective,
            &format!(
                "not proven: no process works in {data}, but a server answers at the endpoint. Check that the host in the plan is the host of the endpoint"
            ),
        ),
        Port::Silent(why) => stage(
            FenceStage::UnderWay,
            &format!("not proven: it is stopped, but its port does not refuse connections: {why}"),
        ),
    }
}

impl Postgres {
    /// Whether the server is stopped, and stays so.
    pub async fn stopped(
        &self,
        db: &DatabaseRef,
        endpoint: &str,
        connection_info: Option<(&str, &Login)>,
    ) -> Observation {
        let looked = async {
            let host = host::of_database(db)?;
            let asked = self.asked(endpoint, connection_info).await?;
            let seen = read(&host::on(host, job(host, "look", Do::Look, asked)).await?);
            if seen.mark.is_empty() {
                return Err(Failure::Unclear("the host reported nothing about the server".to_owned()));
            }
            Ok((seen, host.data.as_str()))
        };
        let (seen, data) = match self.within(looked).await {
            Ok(seen) => seen,
            Err(failure) => return failure.observation(self.world.now()),
        };
        let standby = match (connection_info, seen.mark.as_str(), seen.processes.is_empty()) {
            (Some((endpoint, login)), "ours", false) => match self.server(db, endpoint, login).await {
                Observation::Value { state: State::Database(state), .. } => Some(state.is_replica()),
                _ => None,
            },
            _ => None,
        };
        let port = self.port(endpoint).await;
        self.seen(State::Fence(judged(&seen, &port, standby, data)))
    }

    /// Sets the mark and stops the server. Accepted means that the server was seen to stop, or runs as a standby.
    pub async fn stop(
        &self,
        db: &DatabaseRef,
        endpoint: &str,
        connection_info: Option<(&str, &Login)>,
        key: &str,
    ) -> CallOutcome {
        self.on_host(db, endpoint, connection_info, (key, Do::Set)).await
    }

    /// Undoes that: removes the mark and starts the server.
    pub async fn start(
        &self,
        db: &DatabaseRef,
        endpoint: &str,
        connection_info: Option<(&str, &Login)>,
        key: &str,
    ) -> CallOutcome {
        self.on_host(db, endpoint, connection_info, (key, Do::Lift)).await
    }

    async fn on_host(
        &self,
        db: &DatabaseRef,
        endpoint: &str,
        connection_info: Option<(&str, &Login)>,
        (key, what): (&str, Do),
    ) -> CallOutcome {
        let work = async {
            let host = host::of_database(db)?;
            let asked = self.asked(endpoint, connection_info).await?;
            match host::on(host, job(host, key, what, asked)).await {
                // A job of an earlier process may have stopped the server after it answered.
                Err(failure) if asked.0.is_some() && failure.why().contains(GONE) => {
                    match self.asked(endpoint, connection_info).await? {
                        now @ (None, _) => host::on(host, job(host, key, what, now)).await,
                        _ => Err(failure),
                    }
                }
                done => done,
            }
        };
        match self.within_or(work, MOST).await {
            Ok(_) => CallOutcome::Accepted { token: None },
            Err(failure) => host::refused(failure),
        }
    }

    /// What identifies the server on the host: one of its processes, if it answers, and its port.
    async fn asked(
        &self,
        endpoint: &str,
        connection_info: Option<(&str, &Login)>,
    ) -> Result<(Option<i32>, u16), Failure> {
        let (_, port, _) = parts(endpoint)?;
        // A server that refuses drctl, or hangs, is identified by its port.
        Ok((self.checkpointer(connection_info).await.ok().flatten(), port))
    }

    async fn port(&self, endpoint: &str) -> Port {
        let asked = async {
            let (host, port, _) = parts(endpoint)?;
            Ok(TcpStream::connect((host, port)).await)
        };
        match self.within_or(asked, REFUSES).await {
            Ok(Ok(_)) => Port::Answers,
            Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => Port::Refuses,
            Ok(Err(e)) => Port::Silent(e.to_string()),
            Err(failure) => Port::Silent(failure.why()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With other words, the job of a killed process that has just stopped the server would halt the next process.
    #[test]
    fn the_job_says_that_no_server_runs_in_the_words_that_are_looked_for() {
        assert!(JOB.contains(&format!("echo \"{GONE}$DATA")));
    }

    fn stage(text: &str, port: &Port, standby: Option<bool>) -> FenceStage {
        judged(&read(text), port, standby, "/data").stage
    }

    #[test]
    fn only_what_is_gone_and_refuses_is_proven() {
        let (refuses, silent) = (Port::Refuses, Port::Silent("no answer within 3s".to_owned()));
        assert_eq!(stage("mark\tours\n", &refuses, None), FenceStage::Proven);
        assert_eq!(stage("mark\tours\n", &silent, None), FenceStage::UnderWay);
        assert_eq!(stage("mark\tours\n", &Port::Answers, None), FenceStage::Ineffective);
        assert_eq!(stage("mark\tnone\n", &refuses, None), FenceStage::Open);
        // A process or a PID file that outlives the postmaster.
        assert_eq!(stage("mark\tours\nprocess\t7\n", &refuses, None), FenceStage::Partial);
        assert_eq!(stage("mark\tours\npid\t7\n", &refuses, None), FenceStage::Partial);
        // Started again: as a standby because of the mark, or as a writer in spite of it.
        let again = "mark\tours\npid\t7\nprocess\t7\n";
        assert_eq!(stage(again, &Port::Answers, Some(true)), FenceStage::Proven);
        assert_eq!(stage(again, &Port::Answers, Some(false)), FenceStage::Partial);
        assert_eq!(stage(again, &Port::Answers, None), FenceStage::Partial);
        let other = format!("{again}obstacle\tthe plan's host is another one\n");
        assert_eq!(stage(&other, &Port::Answers, Some(true)), FenceStage::Partial);
        let replica =
            judged(&read("mark\tothers\npid\t7\nprocess\t7\n"), &Port::Answers, Some(true), "/data");
        assert!(replica.replica && !replica.proven);
    }
}
