//! Counts of runs and of verdicts, figures of runs, and the totals.

use super::asked::ReportRequest;
use super::document::{Application, Books, Class, Counts, Figures, RunLine, Tally, Totals};
use super::history::{Sample, Statistics};
use super::{findings, history};
use crate::model::measure::Verdict;
use crate::report::duties::Obligation;

impl Counts {
    /// Counts these runs.
    pub fn from_lines<'l>(lines: impl Iterator<Item = &'l RunLine>) -> Self {
        let mut counts = Self::default();
        for line in lines {
            counts.runs += 1;
            let of = match line.class {
                Class::Test => &mut counts.tests,
                Class::Read => &mut counts.read,
                Class::Incident => &mut counts.incidents,
                Class::Drill | Class::Planned if line.returns => &mut counts.returns,
                Class::Planned => &mut counts.planned,
                Class::Drill => &mut counts.drills,
            };
            *of += 1;
        }
        counts
    }
}

impl Tally {
    /// Adds a verdict.
    pub(super) const fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Met => self.met += 1,
            Verdict::Missed => self.missed += 1,
            Verdict::NotProven => self.not_proven += 1,
            Verdict::NotApplicable => self.not_applicable += 1,
        }
    }
}

/// Computes figures from lines in the order in which the runs started.
pub(super) fn figures<'l>(lines: impl Iterator<Item = &'l RunLine> + Clone) -> Figures {
    let mut figures = Figures { counts: Counts::from_lines(lines.clone()), ..Figures::default() };
    let (mut rto, mut rpo) = (Vec::new(), Vec::new());
    for line in lines {
        for (objective, tally) in [(&line.rto, &mut figures.rto), (&line.rpo, &mut figures.rpo)] {
            objective.iter().for_each(|objective| tally.add(objective.verdict));
        }
        // Without this, a run that never recovered would not make the statistics worse.
        rto.extend(match (line.not_recovered_s, &line.rto) {
            (Some(seconds), Some(_)) => Some(Sample::never(seconds)),
            (_, objective) => objective.as_ref().and_then(Sample::from_figure),
        });
        rpo.extend(line.rpo.as_ref().and_then(Sample::from_figure));
    }
    figures.rto_s = Statistics::from_samples(&rto);
    figures.rpo_s = Statistics::from_samples(&rpo);
    figures
}

/// The totals of a report.
pub(super) fn totals(
    books: Books<'_>,
    applications: &[Application],
    lines: &[RunLine],
    obligations: &[Obligation],
    asked: &ReportRequest,
) -> Totals {
    let all = figures(lines.iter());
    let incidents = figures(lines.iter().filter(|line| line.class == Class::Incident));
    let out = |incident: bool, ended: bool| {
        let waits = lines.iter().filter(|line| line.not_recovered_s.is_some());
        let of =
            |line: &&RunLine| (line.class == Class::Incident, line.ended_at.is_some()) == (incident, ended);
        waits.filter(of).count()
    };
    Totals {
        counts: all.counts,
        not_recovered: out(true, true),
        not_recovered_yet: out(true, false),
        moves_not_recovered: out(false, true),
        moves_not_recovered_yet: out(false, false),
        waivers: lines.iter().map(|line| line.waivers.len()).sum(),
        unfenced: lines.iter().filter(|line| !line.waived_fences.is_empty()).count(),
        fences_pending: lines.iter().map(|line| line.fences_pending).sum(),
        good: lines.iter().filter(|line| line.good && line.could_succeed()).count(),
        rto: all.rto,
        rpo: all.rpo,
        rto_of_incidents: incidents.rto,
        rpo_of_incidents: incidents.rpo,
        overrides: lines.iter().map(|line| line.overrides.len()).sum(),
        steps_without_proof: lines.iter().flat_map(|l| &l.by_people).filter(|by| by.lacks_proof()).count(),
        overrides_late: lines.iter().map(|line| line.late).sum(),
        obligations_missed: obligations.iter().filter(|owed| owed.standing.is_missed()).count(),
        drills_missed: findings::missed(books, asked).count(),
        drills_failed: findings::failed(books, asked),
        unproven: applications.iter().filter(|a| a.unproven.iter().any(|gap| gap.open)).count(),
        never_proven: applications.iter().filter(|a| a.never_proven).count(),
        unprotected_s: history::total(applications.iter().flat_map(|a| &a.unprotected)),
        without_evidence: lines.iter().filter(|line| line.must_be_sealed() && line.bundle.is_none()).count(),
        beyond_evidence: lines.iter().filter(|line| line.outlasts_bundle()).count(),
    }
}
