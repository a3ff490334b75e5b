//! Names that follow an object or routing controls. Health checks notice a change after a while, and then name servers change their
//! answers.

use super::estate::{Answer, Estate, Transition};
use super::scenario::roll;
use crate::kinds::shared::names::{
    AnswersState, ControlsRef, ControlsState, HealthObjectState, ObjectRef, RecordAnswer, ServerAnswer,
    SetHealthObject, SetRoutingControls, Wanted, kept,
};
use crate::model::ids::SiteName;
use crate::model::time::Dur;

impl Estate {
    fn zone_of(&self, object: &ObjectRef) -> Option<usize> {
        self.zones.iter().position(|z| z.object.as_ref().is_some_and(|(of, _)| of == object))
    }

    pub(super) fn signal(&mut self, signal: &SetHealthObject) -> Answer {
        let missing = || ("NoSuchBucket", format!("the bucket for {} does not exist", signal.object.url));
        let i = self.zone_of(&signal.object).ok_or_else(missing)?;
        if let Some((_, holder)) = &mut self.zones[i].object {
            *holder = signal.present.then(|| signal.holder.clone());
        }
        // Three checks, 10 s apart, by checkers with different phases.
        let url = signal.object.url.as_str();
        let noticed = Dur(20_000 + roll(self.seed, &["noticed", url], 25_000));
        self.schedule(self.now + noticed, Transition::Noticed(i));
        Ok(None)
    }

    /// The health check changed: name servers answer accordingly, and resolvers after their cached answers expire.
    pub(super) fn noticed(&mut self, i: usize) {
        let home = self.home.clone();
        let to = match (&self.zones[i].object, &self.zones[i].controls) {
            (Some((object, Some(_))), _) => SiteName::new(object.place.name.as_str()),
            (None, Some((_, on))) => on.clone(),
            _ => home.clone(),
        };
        self.zones[i].sets =
            self.zones[i].records.iter().flat_map(|r| r.sets_when_active(&to, &home)).collect();
        self.publish(i);
    }

    /// Sets all routing controls at once: exactly one is `On`.
    pub(super) fn route(&mut self, route: &SetRoutingControls) -> Answer {
        let missing = || ("ResourceNotFoundException", "there are no such controls".to_owned());
        let i =
            self.zones.iter().position(|z| z.controls.as_ref().is_some_and(|(of, _)| *of == route.controls));
        let i = i.ok_or_else(missing)?;
        self.zones[i].controls = Some((route.controls.clone(), route.to.clone()));
        let noticed = Dur(1_000 + roll(self.seed, &["turned", route.to.as_str()], 9_000));
        self.schedule(self.now + noticed, Transition::Noticed(i));
        Ok(None)
    }

    pub(super) fn turned(&self, of: &ControlsRef) -> Option<ControlsState> {
        let (_, to) = self.zones.iter().filter_map(|z| z.controls.as_ref()).find(|(there, _)| there == of)?;
        Some(ControlsState { on: of.controls.keys().map(|site| (site.clone(), site == to)).collect() })
    }

    /// Name servers use a zone's sets from now on.
    pub(super) fn publish(&mut self, zone: usize) {
        let (seed, static_too) = (self.seed, self.serves_static_only);
        let of = &mut self.zones[zone];
        let ttl = kept(&of.cached);
        of.published = of.sets.clone();
        of.follow(static_too);
        // A resolver keeps its answer until it expires. It fetched the answer at some time within the last TTL.
        let phase = roll(seed, &["resolver", of.reference.zone.as_str()], ttl.millis().max(1));
        self.schedule(self.now + Dur(phase), Transition::Refresh(zone));
    }

    pub(super) fn watched(&self, object: &ObjectRef) -> Option<HealthObjectState> {
        let i = self.zone_of(object)?;
        self.zones[i].object.as_ref().map(|(_, holder)| HealthObjectState { holder: holder.clone() })
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
