//! A recording client: a process that writes numbered rows and records which of them were acknowledged.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A recording client that runs until it is stopped.
pub(super) struct Client {
    process: Child,
    file: PathBuf,
}

impl Client {
    pub(super) fn new(process: Child, file: PathBuf) -> Self {
        Self { process, file }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    fn wait_for(&self, what: &str, seconds: u64, test: impl Fn(&Value) -> bool) {
        let (end, from) = (Instant::now() + Duration::from_secs(seconds), self.lines().len());
        while !self.lines()[from..].iter().any(&test) {
            assert!(Instant::now() < end, "{what}: not within {seconds} s: {}", self.story());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The attempts, one line for each series with the same result.
    pub(super) fn story(&self) -> String {
        let end = |a: &Value| match a["error"].as_str() {
            Some(why) => why.chars().take(120).collect(),
            None => format!("rows at {}", a["site"]),
        };
        let lines = self.lines();
        let series = lines.chunk_by(|a, b| end(a) == end(b));
        series.map(|s| format!("\n{} {} x {}", s[0]["done_at"], s.len(), end(&s[0]))).collect()
    }

    pub(super) fn writes_to(&self, site: &str) {
        self.wait_for(site, 90, |a| a["ok"] == true && a["site"] == site);
    }

    pub(super) fn stop(mut self) -> Self {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.process.wait();
        self
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
