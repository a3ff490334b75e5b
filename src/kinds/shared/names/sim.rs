//! Names in a simulated world: resolvers keep an answer until it expires, whatever the name servers answer since.

use super::answers::{AnswersState, ServerAnswer, Wanted};
use super::records::{RecordAnswer, RecordSet, kept};
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::names::NamesOfZone;
use crate::model::time::Dur;

impl NamesOfZone {
    /// Name servers answer with these sets from now on. Gives the longest time for which resolvers may keep the old answer.
    pub fn publish(&mut self, sets: &[RecordSet]) -> Dur {
        let ttl = kept(&self.cached);
        self.published = sets.to_vec();
        self.follow();
        ttl
    }

    /// The users' resolvers ask again.
    pub fn refresh(&mut self) {
        self.cached = self.published.clone();
        self.follow();
    }
}

impl SimulatedWorld {
    /// The answers of a name server and of a resolver.
    pub fn name_servers(&self, names: &[Wanted]) -> AnswersState {
        let kinds = [true, false];
        let ask = |name: &Wanted, authoritative: bool| {
            let zone = self.names.iter().find(|z| z.records.iter().any(|r| r.name == name.name))?;
            let sets = if authoritative { &zone.published } else { &zone.cached };
            let record = zone.records.iter().find(|r| r.name == name.name && r.rtype == name.rtype)?;
            let site = record.answered_by(sets);
            let right = record.at.get(site.as_ref()?).is_some_and(|at| match &at.answer {
                RecordAnswer::Values { values, .. } => *values == name.values,
                RecordAnswer::Alias { name: alias, .. } => Some(alias) == name.alias.as_ref(),
            });
            Some(ServerAnswer {
                server: if authoritative { "ns1" } else { "resolver" }.to_owned(),
                authoritative,
                name: format!("{} {}", name.name, name.rtype),
                right: Some(right),
                said: site.map_or_else(|| "nothing".to_owned(), |s| s.to_string()),
            })
        };
        let servers = names.iter().flat_map(|name| kinds.iter().filter_map(move |&kind| ask(name, kind)));
        AnswersState { servers: servers.collect() }
    }
}
