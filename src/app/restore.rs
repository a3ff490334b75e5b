//! The point in time that a restore or a drill goes back to

use super::error::AppError;
use super::stage::Stage;
use crate::executor::{Session, create, survey};
use crate::inventory::{Estate, Observation};
use crate::journal::Journal as _;
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::shared::restore::{BackupsState, Rates};
use crate::kinds::{Fact, State, Target};
use crate::model::ids::{ComponentName, Digest, RunId, SiteName};
use crate::model::intent::Drill;
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;
use crate::planner::{Refusal, Wanted, restore};

/// Limit on listing the backups of a host.
const LISTING: Dur = Dur::mins(4);
/// A drill stays this far from now, because the newest WAL may not be archived yet.
const NEWEST: Dur = Dur::mins(1);

/// The point in time to restore, as typed.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// A time, or how long ago.
    pub to_time: Option<String>,
    /// The name of a snapshot.
    pub snapshot: Option<String>,
    /// The timeline of PostgreSQL.
    pub timeline: Option<u32>,
}

/// What was asked for, before the clock is read.
pub struct RestoreRequest {
    component: ComponentName,
    when: When,
    timeline: Option<u32>,
}

#[derive(Clone)]
enum When {
    At(Timestamp),
    Ago(Dur),
    /// The time of a snapshot.
    Of(String),
    /// A random time between the oldest backup and now.
    Random,
}

impl RestoreRequest {
    /// The component to restore.
    pub const fn component(&self) -> &ComponentName {
        &self.component
    }

    /// From what was typed. A drill may use any time.
    ///
    /// # Errors
    /// If the time is not valid, or is missing where it is needed.
    pub fn new(component: &str, point: &Point, drill: Option<Drill>) -> Result<Self, AppError> {
        let when = when(point, drill.is_some())?;
        Ok(Self { component: ComponentName::new(component), when, timeline: point.timeline })
    }
}

/// Parses a time with a zone, or one such as "15m ago".
///
/// # Errors
/// If it is neither.
pub fn instant(text: &str, now: Timestamp) -> Result<Timestamp, AppError> {
    match text.strip_suffix(" ago") {
        Some(ago) => Dur::parse(ago).map(|ago| now - ago).map_err(AppError::usage),
        None => Timestamp::parse(text).map_err(AppError::usage),
    }
}

fn when(point: &Point, drill: bool) -> Result<When, AppError> {
    if let Some(snapshot) = &point.snapshot {
        return Ok(When::Of(snapshot.clone()));
    }
    let Some(text) = point.to_time.as_deref() else {
        let fix = "use, for example, --to-time 2026-09-21T12:00:00Z or --to-time \"15m ago\"";
        return match drill {
            true => Ok(When::Random),
            false => Err(AppError::usage_fix("the point in time is missing", fix)),
        };
    };
    if let Some(ago) = text.strip_suffix(" ago") {
        return Dur::parse(ago).map(When::Ago).map_err(AppError::usage);
    }
    let at = Timestamp::parse(text).map_err(AppError::usage)?;
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    let digits = fraction.chars().take_while(char::is_ascii_digit).count();
    match digits > 3 {
        true => Err(AppError::usage_fix(format!("`{text}` is finer than a millisecond"), format!("{at}"))),
        false => Ok(When::At(at)),
    }
}

/// Asks the host for the backups that the time can be restored from, and adds the answer to the observations.
///
/// # Errors
/// If earlier runs cannot be read.
pub async fn look(
    asked: &RestoreRequest,
    (stage, session, store): (&Stage, &Session<'_>, &SqliteJournal),
    (plan, site, run): (&Plan, &SiteName, &RunId),
    seen: &mut Estate,
) -> Result<Result<Wanted, Refusal>, AppError> {
    let now = stage.world.now();
    let rates = rates(store, plan, &asked.component)?;
    let snapshot = match &asked.when {
        When::Of(name) => Some(name.clone()),
        _ => None,
    };
    let of = |to_time| Wanted {
        component: asked.component.clone(),
        to_time,
        timeline: asked.timeline,
        snapshot: snapshot.clone(),
        rates,
    };
    let mut wanted = of(match asked.when {
        When::At(at) => at,
        When::Ago(ago) => now - ago,
        When::Of(_) | When::Random => now - NEWEST,
    });
    let target =
        |wanted: &Wanted| restore::wanted(plan, site, wanted, run).map(|of| Target::Backups(Box::new(of)));
    let mut asks = match target(&wanted) {
        Ok(target) => target,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut answer = ask(session, &asks).await;
    if let Observation::Value { state: State::Backups(found), .. } = &answer
        && let Some(at) = settled((&asked.when, run), found, wanted.to_time, session)
    {
        wanted = of(at);
        if let Ok(target) = target(&wanted) {
            asks = target;
            answer = ask(session, &asks).await;
        }
    }
    seen.add(&asks, answer, None);
    Ok(Ok(wanted))
}

/// The target time, if only the backups determine it.
fn settled(
    (when, run): (&When, &RunId),
    found: &BackupsState,
    newest: Timestamp,
    session: &Session<'_>,
) -> Option<Timestamp> {
    match when {
        When::At(_) | When::Ago(_) => None,
        When::Of(_) => found.chosen.as_ref().map(|backup| backup.ended),
        When::Random => {
            let backups = || found.all.iter().map(|b| b.ended).min().map(|oldest| (oldest, newest));
            let (oldest, newest) = found.window.or_else(backups)?;
            let span = newest.since(oldest).millis().max(1);
            // Rehearsals draw the same numbers every time; the run's name still makes each run differ.
            Some(oldest + Dur((session.world.random() ^ drawn(run)) % span))
        }
    }
}

/// A number that is derived from a run's name.
fn drawn(run: &RunId) -> u64 {
    let digest = Digest::of_bytes(run.as_str().as_bytes());
    digest.as_str().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default()
}

async fn ask(session: &Session<'_>, target: &Target) -> Observation {
    let seen = survey::look(session, std::slice::from_ref(target), LISTING).await;
    let nobody =
        || Observation::Unobservable { since: session.world.now(), why: "nobody answered".to_owned() };
    seen.into_iter().next().map_or_else(nobody, |(_, seen)| seen)
}

/// The speed of the component's last restore.
fn rates(store: &SqliteJournal, plan: &Plan, component: &ComponentName) -> Result<Option<Rates>, AppError> {
    let mut last = None;
    for row in store.runs()? {
        let Some(state) = store.read(&row.run).ok().and_then(|r| create::replay(&row.run, &r).ok()) else {
            continue;
        };
        if state.created.plan != plan.name {
            continue;
        }
        for fact in state.steps.iter().flat_map(|s| &s.facts) {
            let Fact::Restore { component: of, found, .. } = fact else { continue };
            if let (true, Some((bytes, took))) = (of == component, found.fetched) {
                let seconds = (took.millis() / 1_000).max(1);
                last = Some(Rates { fetched_per_s: (bytes / seconds).max(1) });
            }
        }
    }
    Ok(last)
}
