//! Who took writes, and what happened to them.

use std::collections::BTreeMap;

use drctl::adapters::sandbox::moment::{Moment, Server};
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::{Fact, Operation};
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::time::{Dur, Timestamp};
use drctl::record::action::Action;
use drctl::record::event::{Direction, Event, EventKind};
use drctl::record::runbook::Runbook;

use super::{Oracle, Waived};

/// A promotion: when, which server, and up to when it has the writes of others.
struct Promotion {
    at: Timestamp,
    server: (SiteName, String),
    kept: Timestamp,
}

fn is(server: &Server) -> (SiteName, String) {
    (server.site.clone(), server.id.clone())
}

impl Oracle<'_> {
    /// For how long two servers of a component both took writes without a waiver of the fence.
    pub fn two_primaries(&self, waived: &Waived) -> BTreeMap<ComponentName, Dur> {
        let mut two: BTreeMap<ComponentName, Dur> = BTreeMap::new();
        for (moment, end) in self.spans() {
            for component in self.databases().into_keys() {
                let writers = moment.servers.iter().filter(|s| s.component == *component && s.reached);
                if writers.count() > 1 {
                    let left = waived.left_of(component, (moment.at, end));
                    let sum = two.entry(component.clone()).or_default();
                    *sum = sum.plus(left);
                }
            }
        }
        two.retain(|_, sum| *sum > Dur::ZERO);
        two
    }

    /// Promotions that were requested while another server of the component took writes without a waiver of its fence.
    pub fn asked_too_early(&self, events: &[Event], waived: &Waived) -> Vec<String> {
        let Some(runbook) = runbook(events) else { return Vec::new() };
        let asks = |event: &Event| {
            let EventKind::CallIntended { step, direction: Direction::Do, .. } = &event.what else {
                return None;
            };
            let action = &runbook.steps.iter().find(|s| s.id == *step)?.action;
            let Action::Op(Operation::Promote(Promote { db, takeover, .. })) = action else { return None };
            // A switchover stops the writes by itself.
            let hands_over = takeover
                .as_ref()
                .is_some_and(|how| how.by == drctl::kinds::shared::promotion::Handover::Switchover);
            let promoted = |s: &&Server| s.component == db.component && s.reached && s.id != db.id;
            let moment = self.at(event.at).filter(|_| !hands_over)?;
            let other = moment.servers.iter().find(promoted)?;
            let waived = waived.covers(&db.component, event.at);
            (!waived).then(|| format!("{step} at {}: {} in {} takes writes", event.at, other.id, other.site))
        };
        events.iter().filter_map(asks).collect()
    }

    /// Fences that are reported as proven while rows arrive in their server, from an earlier session or from an apply worker.
    pub fn proven_in_vain(&self, events: &[Event]) -> Vec<String> {
        let Some(runbook) = runbook(events) else { return Vec::new() };
        let vain = |event: &Event| {
            let EventKind::StepFinished { step, facts, .. } = &event.what else { return None };
            let Action::Op(Operation::Fence(fence)) = &runbook.steps.iter().find(|s| s.id == *step)?.action
            else {
                return None;
            };
            let proven = facts.iter().any(|f| matches!(f, Fact::Fenced { .. }));
            let (id, site) = (&fence.db.id, &fence.db.place.name);
            let writes = |s: &&Server| s.id == *id && s.site.as_str() == site && (s.accepts || s.reached);
            let server = self.at(event.at).filter(|_| proven)?.servers.iter().find(writes)?;
            Some(format!("{step} at {}: rows land in {} in {}", event.at, server.id, server.site))
        };
        events.iter().filter_map(vain).collect()
    }

    /// Whether a promotion before the fence would be noticed in this run: it promotes a database whose old primary took writes when the run
    /// started, without a waiver of its fence.
    pub fn can_catch(&self, events: &[Event]) -> bool {
        let (Some(runbook), Some(first)) = (runbook(events), events.first()) else { return false };
        let Some(moment) = self.at(first.at) else { return false };
        let waived = |c: &ComponentName| {
            let pending =
                |e: &Event| matches!(&e.what, EventKind::FenceWaived { component } if component == c);
            events.iter().any(pending)
        };
        runbook.steps.iter().any(|s| {
            let Action::Op(Operation::Promote(Promote { db, .. })) = &s.action else { return false };
            let old = |s: &Server| s.component == db.component && s.reached && s.id != db.id;
            !waived(&db.component) && moment.servers.iter().any(old)
        })
    }

    /// Acknowledged rows that the promoted server lacks, as the span of time in which they were written.
    pub fn lost(&self) -> BTreeMap<ComponentName, Dur> {
        let mut lost = BTreeMap::new();
        for component in self.databases().into_keys() {
            let promotions = self.promotions(component);
            for (i, promotion) in promotions.iter().enumerate() {
                // Rows that were written after another server was promoted do not count here.
                let until = promotions.get(i + 1).map_or(self.until, |next| next.at);
                let last = self.last_row(component, |s| is(s) != promotion.server, until);
                let missing = last.map_or(Dur::ZERO, |last| last.since(promotion.kept));
                let worst: &mut Dur = lost.entry(component.clone()).or_default();
                *worst = missing.max(*worst);
            }
            let restored = self.lost_by_restores(component);
            let worst = lost.entry(component.clone()).or_default();
            *worst = restored.max(*worst);
        }
        lost
    }

    /// The time between what a restored server was restored to and the last row acknowledged before.
    fn lost_by_restores(&self, component: &ComponentName) -> Dur {
        let mut data: BTreeMap<(SiteName, String), Option<Timestamp>> = BTreeMap::new();
        let mut worst = Dur::ZERO;
        let within = self.moments.iter().filter(|m| m.at <= self.until);
        for (moment, server) in within.flat_map(|m: &Moment| m.servers.iter().map(move |s| (m, s))) {
            if server.component != *component {
                continue;
            }
            // A renamed server is not restored anew.
            let before = data.insert(is(server), server.restored_to);
            if let (Some(before), Some(to)) = (before, server.restored_to)
                && before != Some(to)
            {
                let last = self.last_row(component, |_| true, moment.at);
                worst = worst.max(last.map_or(Dur::ZERO, |last| last.since(to)));
            }
        }
        worst
    }

    fn promotions(&self, component: &ComponentName) -> Vec<Promotion> {
        let mut all = Vec::new();
        let mut followed: BTreeMap<(SiteName, String), bool> = BTreeMap::new();
        let within = self.moments.iter().filter(|m| m.at <= self.until);
        for (moment, server) in within.flat_map(|m: &Moment| m.servers.iter().map(move |s| (m, s))) {
            if server.component != *component {
                continue;
            }
            let before = followed.insert(is(server), server.follows.is_some());
            if before == Some(true)
                && server.follows.is_none()
                && let Some(kept) = server.kept
            {
                all.push(Promotion { at: moment.at, server: is(server), kept });
            }
        }
        all
    }

    /// When one of these servers last acknowledged a row before that time.
    fn last_row(
        &self,
        component: &ComponentName,
        of: impl Fn(&Server) -> bool,
        until: Timestamp,
    ) -> Option<Timestamp> {
        let spans = self.spans().filter(|(m, _)| m.at < until);
        let wrote =
            spans.filter(|(m, _)| m.servers.iter().any(|s| s.component == *component && s.reached && of(s)));
        wrote.map(|(_, end)| end.min(until)).last()
    }
}

pub(super) fn runbook(events: &[Event]) -> Option<Runbook> {
    events.iter().find_map(|e| match &e.what {
        EventKind::RunCreated(created) => serde_json::from_str(&created.runbook).ok(),
        _ => None,
    })
}
