//! What a recovery needs from a region if that region were down: derives the recovery path for that case, and checks everything on it.

use schemars::JsonSchema;
use serde::Serialize;

use super::refusal::Refusal;
use crate::inventory::Estate;
use crate::kinds::cloud::{self, IDENTITY};
use crate::kinds::shared::clients::Clients;
use crate::kinds::shared::command::Task;
use crate::kinds::shared::names::{RecordAnswer, Relies};
use crate::kinds::shared::secret::SecretRef;
use crate::kinds::{Role, State, Target};
use crate::model::ids::SiteName;
use crate::model::place::Place;
use crate::model::waiver::Rule;
use crate::model::worst::{Weighed, Weight};
use crate::plan::types::Component;
use crate::plan::{Plan, Settings};
use crate::record::action::{Action, Check};
use crate::record::runbook::{OnFailure, Probe, ProbeRole, ProbeVia, Runbook, Step};

/// Whether an item of the recovery path needs the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Yes: without the region the recovery stops here.
    Yes,
    /// A person must accept something that cannot be done.
    Asks,
    /// Not known.
    Unknown,
    /// The region is tried, but nothing waits for it.
    Tried,
    /// No.
    No,
}

/// One item of the recovery path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// `step`, `credential`, `secret`, `endpoint`, `store`, `guard`, `kit`, `evidence`, `identity`, `dns`, `probe`, `hook`, `plan`, `tls`.
    pub kind: &'static str,
    /// The item.
    pub what: String,
    /// Whether it needs the region.
    pub needs: Needs,
    /// The reason.
    pub why: String,
    /// What removes the need; none if there is no need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Weighed for Finding {
    fn weight(&self) -> Weight {
        match self.needs {
            Needs::Yes => Weight::Blocking,
            Needs::Asks | Needs::Unknown => Weight::Warning,
            Needs::Tried | Needs::No => Weight::Note,
        }
    }

    fn about(&self) -> &str {
        &self.what
    }
}

/// The assumption, and what is known.
#[derive(Debug)]
pub struct Assumed<'a> {
    /// The application.
    pub plan: &'a Plan,
    /// The settings.
    pub settings: &'a Settings,
    /// The site that is down.
    pub down: &'a SiteName,
    /// Its region: everything else there is down, too.
    pub region: &'a str,
    /// The recovery site.
    pub to: &'a SiteName,
    /// The current state.
    pub estate: &'a Estate,
    /// Refusals of the recovery in that case.
    pub refusals: &'a [Refusal],
    /// The recovery path in that case, with all waivable refusals waived.
    pub runbook: Option<&'a Runbook>,
    /// The place of guards.
    pub guard: Option<&'a Place>,
}

/// All items of the recovery path.
pub fn findings(of: &Assumed<'_>) -> Vec<Finding> {
    let mut all: Vec<_> = of.refusals.iter().map(|r| of.refusal(r)).collect();
    if let Some(runbook) = of.runbook {
        all.extend(runbook.steps.iter().filter_map(|s| of.step(s)));
        all.extend(of.names(runbook));
    }
    all.extend(of.plan.connections.values().map(|p| of.place("credential", p)));
    all.extend(of.plan.sites.get(of.to).map(|s| of.place("credential", &s.place)));
    all.extend(of.plan.components.values().flat_map(|c| of.component(c)));
    all.extend(of.plan.probes.iter().filter_map(|p| of.probe(&p.value)));
    all.extend(of.plan.hooks.iter().map(|h| of.hook(&h.name, &h.command.argv)));
    all.extend(of.surroundings());
    all
}

impl Assumed<'_> {
    fn finding(kind: &'static str, what: impl Into<String>, needs: Needs, why: impl Into<String>) -> Finding {
        Finding { kind, what: what.into(), needs, why: why.into(), fix: None }
    }

    fn is_down(&self, place: &Place) -> bool {
        place.region == self.region
    }

    fn names_it(&self, text: &str) -> bool {
        text.contains(self.region)
    }

    fn step(&self, step: &Step) -> Option<Finding> {
        let place = step.action.place()?;
        let (id, about) = (step.id.as_str(), step.action.to_string());
        if !self.is_down(place) {
            return None;
        }
        let unwatched = step.background || step.debt || step.on_failure == OnFailure::Continue;
        if unwatched || matches!(step.action, Action::Check(Check::Evidence { .. })) {
            let why = format!("{about}: runs in the background, and no step waits for it");
            return Some(Self::finding("step", id, Needs::Tried, why));
        }
        let fix = format!("move it to a place other than {}", place.name);
        Some(Finding { fix: Some(fix), ..Self::finding("step", id, Needs::Yes, about) })
    }

    /// Moves of names: changes of record sets first, then what record sets follow.
    fn names(&self, runbook: &Runbook) -> Vec<Finding> {
        let of = |step: &Step, changes: bool| {
            let op = step.action.op().filter(|op| op.switches().is_some() == changes)?;
            let found = op.reliance(self.region)?;
            let needs = match found.relies {
                Relies::Yes => Needs::Yes,
                Relies::Tried => Needs::Tried,
                Relies::No => Needs::No,
            };
            let fix = found.fix.map(str::to_owned);
            Some(Finding { fix, ..Self::finding("dns", step.id.as_str(), needs, found.why) })
        };
        let changed = runbook.steps.iter().filter_map(|step| of(step, true));
        changed.chain(runbook.steps.iter().filter_map(|step| of(step, false))).collect()
    }

    fn refusal(&self, refusal: &Refusal) -> Finding {
        let what =
            refusal.component.as_ref().map_or_else(|| "the whole plan".to_owned(), ToString::to_string);
        let asks =
            matches!(refusal.rule, Rule::UnfencedPromotion | Rule::ExposureAboveRpo | Rule::ExposureUnknown);
        let needs = if asks { Needs::Asks } else { Needs::Yes };
        let fix = refusal.flag.clone().unwrap_or_else(|| refusal.acceptable.clone());
        let why = format!("{}: {}", refusal.rule, refusal.facts);
        Finding { fix: Some(fix), ..Self::finding("plan", what, needs, why) }
    }

    fn place(&self, kind: &'static str, place: &Place) -> Finding {
        let who = place.role.as_deref().map_or_else(
            || format!("{}: the base credentials", place.name),
            |role| format!("{}: role {role}", place.name),
        );
        let at = if place.region == "global" { self.to.as_str() } else { place.region.as_str() };
        if self.is_down(place) {
            let fix = format!("choose a region for {} other than the region of {}", place.name, self.down);
            let why = format!("drctl calls {IDENTITY} in {at}");
            return Finding { fix: Some(fix), ..Self::finding(kind, who, Needs::Yes, why) };
        }
        let target = Target::Identity { place: place.clone() };
        match self.estate.now(&target).and_then(|o| o.state()) {
            Some(State::Identity(identity)) => {
                Self::finding(kind, who, Needs::No, format!("{IDENTITY} in {at} answers: {}", identity.arn))
            }
            _ if !cloud::has_account(place) => Self::finding(kind, who, Needs::No, "needs no cloud provider"),
            _ => {
                let why = format!("{IDENTITY} in {at} did not confirm these credentials");
                let fix = "get valid credentials, then run this check again".to_owned();
                Finding { fix: Some(fix), ..Self::finding(kind, who, Needs::Unknown, why) }
            }
        }
    }

    fn component(&self, component: &Component) -> Vec<Finding> {
        match component.role() {
            Role::Store(spec) => {
                let at = spec.at.get(self.to);
                at.and_then(|at| at.admin.as_ref())
                    .map(|s| self.secret(component, &s.value))
                    .into_iter()
                    .collect()
            }
            Role::Traffic(zone) => zone
                .records
                .iter()
                .filter_map(|r| Some((r, r.at.get(self.to)?)))
                .filter_map(|(record, at)| self.answer(&record.name, &at.answer))
                .collect(),
            Role::Capacity(_) => Vec::new(),
            Role::Clients(clients) => self.clients(component, clients),
            Role::Copy(of) => {
                vec![Self::finding("plan", component.name.as_str(), Needs::No, of.unaided())]
            }
            Role::Declared => {
                let why = "the plan declares it, but drctl does not recover it";
                vec![Self::finding("plan", component.name.as_str(), Needs::Unknown, why)]
            }
        }
    }

    /// The secrets and commands for the clients in the recovery site.
    fn clients(&self, component: &Component, clients: &Clients) -> Vec<Finding> {
        let Some(at) = clients.at.get(self.to) else { return Vec::new() };
        let named = |task: &Task| format!("{}: {}", component.name, task.command.argv.join(" "));
        let tasks = at.switch.iter().chain(&at.restart);
        let login = clients.login.as_ref().map(|l| match self.secret(component, &l.value) {
            // The client's own login is not tested.
            of if of.needs == Needs::No => {
                Finding { needs: Needs::Unknown, why: "drctl has not logged in with it".to_owned(), ..of }
            }
            of => of,
        });
        let secret = clients.secret(self.plan, &component.name, self.to);
        let secret = secret.map(|of| {
            let what = format!("{} {}", component.name, of.id);
            match self.estate.now(&Target::Secret(of)).map(|seen| (seen.state(), seen.why_not())) {
                Some((Some(_), _)) => {
                    let why =
                        format!("drctl read it in {}. Permission to change it there is not tested", self.to);
                    Self::finding("secret", what, Needs::No, why)
                }
                seen => {
                    let why = seen.map_or_else(|| "not observed".to_owned(), |(_, why)| why);
                    let fix = format!("make the secret in {} readable, then run this check again", self.to);
                    Finding { fix: Some(fix), ..Self::finding("secret", what, Needs::Unknown, why) }
                }
            }
        });
        tasks.map(|task| self.hook(&named(task), &task.command.argv)).chain(login).chain(secret).collect()
    }

    /// The login of the recovered server. A successful SQL observation shows that it can be read.
    fn secret(&self, component: &Component, secret: &SecretRef) -> Finding {
        let SecretRef::Ref(reference) = secret else {
            return Self::finding("secret", component.name.as_str(), Needs::No, "its value is in the plan");
        };
        let what = format!("{} {reference}", component.name);
        if self.names_it(reference) {
            let fix =
                format!("replicate the secret to the region of {} and name the replica in the plan", self.to);
            let why = format!("stored in {}", self.region);
            return Finding { fix: Some(fix), ..Self::finding("secret", what, Needs::Yes, why) };
        }
        if reference.starts_with("file:") {
            return Self::finding("secret", what, Needs::No, "a file on this machine");
        }
        let read = self.estate.entries.values().any(|e| match e.now.state() {
            Some(State::Database(d)) => {
                e.place == self.to.as_str() && d.last_commit_source.as_deref() == Some("sql")
            }
            _ => false,
        });
        match read {
            true => Self::finding(
                "secret",
                what,
                Needs::No,
                format!("drctl read it in {}, and the server accepted it", self.to),
            ),
            false => {
                let fix = "make sure that the database there answers SQL, then run this check again";
                let why = format!("drctl has not used it in {} yet", self.to);
                Finding { fix: Some(fix.to_owned()), ..Self::finding("secret", what, Needs::Unknown, why) }
            }
        }
    }

    fn answer(&self, name: &str, answer: &RecordAnswer) -> Option<Finding> {
        let RecordAnswer::Alias { name: to, .. } = answer else { return None };
        self.names_it(to).then(|| {
            let why = format!("in {} it is an alias for {to}, which is in {}", self.to, self.region);
            let fix = format!("point the alias to a resource in {}", self.to);
            Finding { fix: Some(fix), ..Self::finding("dns", name, Needs::Yes, why) }
        })
    }

    /// Probes that a run waits for before it redirects traffic and at its end.
    fn probe(&self, probe: &Probe) -> Option<Finding> {
        let (ProbeVia::Http { url: address, .. } | ProbeVia::Tcp { address }) = &probe.via else {
            // Only a drill uses it.
            return None;
        };
        let waited = match probe.role {
            ProbeRole::Site => probe.site.as_ref() == Some(self.to),
            ProbeRole::Public | ProbeRole::Write => true,
            ProbeRole::Alarm => false,
        };
        if !waited {
            return None;
        }
        if !self.names_it(address) {
            return Some(Self::finding("probe", probe.key(), Needs::No, format!("requests {address}")));
        }
        let why = format!(
            "requests {address}, which is in {}. It fails as long as that region is down",
            self.region
        );
        let fix = "use the public name that users connect to".to_owned();
        Some(Finding { fix: Some(fix), ..Self::finding("probe", probe.key(), Needs::Yes, why) })
    }

    fn hook(&self, name: &str, argv: &[String]) -> Finding {
        let command = argv.join(" ");
        if self.names_it(&command) {
            let fix = "use a command that runs from the other regions and calls only them".to_owned();
            return Finding { fix: Some(fix), ..Self::finding("hook", name, Needs::Yes, command) };
        }
        Self::finding("hook", name, Needs::Unknown, format!("the dependencies of `{command}` are unknown"))
    }

    fn surroundings(&self) -> Vec<Finding> {
        let mut all = Vec::new();
        for (service, url) in &self.settings.endpoints {
            let needs = if self.names_it(url) { Needs::Yes } else { Needs::No };
            let fix = (needs == Needs::Yes)
                .then(|| format!("remove endpoints.{service} from drctl.yaml, or set another address"));
            all.push(Finding { fix, ..Self::finding("endpoint", service.clone(), needs, url.clone()) });
        }
        all.push(match self.guard {
            Some(place) if self.is_down(place) => Finding {
                fix: Some("use a bucket in a third region".to_owned()),
                ..Self::finding(
                    "guard",
                    place.name.clone(),
                    Needs::Yes,
                    format!("stored in {}", place.region),
                )
            },
            Some(place) => Self::finding(
                "guard",
                place.name.clone(),
                Needs::No,
                format!("stored in {}", place.region),
            ),
            None => Self::finding(
                "guard",
                "none",
                Needs::No,
                "drctl.yaml configures no guard, so nothing stops two operators from running on one component",
            ),
        });
        let sinks = self.settings.evidence.iter().flat_map(|kept| &kept.sinks);
        // Nothing waits for a sink, because the delivery can happen later. But a sink must exist outside the region.
        let elsewhere = sinks.clone().any(|sink| !self.is_down(&sink.place));
        for sink in sinks {
            let lost = self.is_down(&sink.place);
            let needs = match (lost, elsewhere) {
                (false, _) => Needs::No,
                (true, true) => Needs::Tried,
                (true, false) => Needs::Yes,
            };
            let fix = lost.then(|| "add a sink in another region".to_owned());
            let why = format!("stores bundles in {}", sink.place.region);
            all.push(Finding { fix, ..Self::finding("evidence", &sink.name, needs, why) });
        }
        let api = self.plan.components.values().find_map(|c| match c.role() {
            Role::Store(of) => of.engine.operator().api(),
            _ => None,
        });
        all.extend(api.map(|(name, why)| Self::finding("endpoint", name, Needs::No, why)));
        all
    }
}
