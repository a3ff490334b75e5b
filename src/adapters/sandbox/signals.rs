//! Names that follow an object: health checks notice it after a while, and name servers answer by them.

use super::effects::Answer;
use super::estate::{Estate, Transition};
use super::scenario::roll;
use crate::model::action::{Signal, Wanted};
use crate::model::ids::SiteName;
use crate::model::state::{AnswersState, RecordAnswer, ServerAnswer, SignalState};
use crate::model::target::ObjectRef;
use crate::model::time::Dur;

impl Estate {
    fn zone_of(&self, object: &ObjectRef) -> Option<usize> {
        self.zones.iter().position(|z| z.object.as_ref().is_some_and(|(of, _)| of == object))
    }

    pub(super) fn signal(&mut self, signal: &Signal) -> Answer {
        let missing = || ("NoSuchBucket", format!("there is no bucket for {}", signal.object.url));
        let i = self.zone_of(&signal.object).ok_or_else(missing)?;
        if let Some((_, holder)) = &mut self.zones[i].object {
            *holder = signal.present.then(|| signal.holder.clone());
        }
        // Three looks, 10 s apart, by checkers that began at different times.
        let url = signal.object.url.as_str();
        let noticed = Dur(20_000 + roll(self.seed, &["noticed", url], 25_000));
        self.schedule(self.now + noticed, Transition::Noticed(i));
        Ok(None)
    }

    /// The health check changed its mind: name servers answer by it, and resolvers when what they have expires.
    pub(super) fn noticed(&mut self, i: usize) {
        let home = self.home.clone();
        let Some((object, holder)) = &self.zones[i].object else { return };
        let to = if holder.is_some() { SiteName::new(object.place.name.as_str()) } else { home.clone() };
        self.zones[i].sets =
            self.zones[i].records.iter().flat_map(|r| r.sets_when_active(&to, &home)).collect();
        self.publish(i);
    }

    pub(super) fn watched(&self, object: &ObjectRef) -> Option<SignalState> {
        let i = self.zone_of(object)?;
        self.zones[i].object.as_ref().map(|(_, holder)| SignalState { holder: holder.clone() })
    }

    pub(super) fn name_servers(&self, names: &[Wanted]) -> AnswersState {
        let kinds = [true, false];
        let ask = |name: &Wanted, authoritative: bool| {
            let zone = self.zones.iter().find(|z| z.records.iter().any(|r| r.name == name.name))?;
            let sets = if authoritative { &zone.published } else { &zone.cached };
            let record = zone.records.iter().find(|r| r.name == name.name && r.rtype == name.rtype)?;
            let site = crate::inventory::active::answered_by(record, sets);
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
