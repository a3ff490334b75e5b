//! That the store of a command is older than something that was signed about it. Every command says so in the same words, once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::AppError;
use super::exit;
use super::presenter::Presenter;
use crate::journal::StoreError;

/// What a command found out about the age of its store. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Older(Arc<Mutex<OlderCauses>>);

#[derive(Debug, Default)]
struct OlderCauses {
    why: Vec<String>,
    told: bool,
}

impl Older {
    fn found(&self) -> MutexGuard<'_, OlderCauses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what the store lacks.
    pub(super) fn add(&self, why: Vec<String>) {
        let mut found = self.found();
        for why in why {
            if !found.why.contains(&why) {
                found.why.push(why);
            }
        }
    }

    /// What the store lacks; nothing if it is not older than anything that is known.
    pub fn why(&self) -> Vec<String> {
        self.found().why.clone()
    }

    /// Says it with the first cause, unless that was done before.
    pub fn tell(&self, presenter: &dyn Presenter) {
        let why = {
            let mut found = self.found();
            let first = found.why.first().filter(|_| !found.told).cloned();
            found.told |= first.is_some();
            first
        };
        let Some(why) = why else { return };
        let said = AppError::from(StoreError::PutBack(why));
        presenter.note(&said.message);
        said.hint.iter().for_each(|hint| presenter.note(&format!("fix: {hint}")));
    }

    /// The exit code of a command: nothing is well while its store is older.
    pub fn code(&self, code: u8) -> u8 {
        let older = !self.found().why.is_empty();
        if older && code == exit::DONE { exit::NOT_RECOVERED } else { code }
    }
}
