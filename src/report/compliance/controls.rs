//! Maps the sections of the report to the controls of standards. The mapping is drctl's reading; the auditor decides.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// No standard.
    Own,
    /// AICPA Trust Services Criteria, 2017 with the points of focus of 2022.
    Soc2,
    /// ISO/IEC 27001:2022, Annex A.
    Iso27001,
    /// ISO 22301:2019.
    Iso22301,
    /// 45 CFR Part 164, Subpart C.
    Hipaa,
    /// Regulation (EU) 2022/2554.
    Dora,
    /// PCI DSS 4.0.1.
    Pci,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 7] =
        [Self::Own, Self::Soc2, Self::Iso27001, Self::Iso22301, Self::Hipaa, Self::Dora, Self::Pci];

    /// Its name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Soc2 => "soc2",
            Self::Iso27001 => "iso27001",
            Self::Iso22301 => "iso22301",
            Self::Hipaa => "hipaa",
            Self::Dora => "dora",
            Self::Pci => "pci",
        }
    }

    /// Its full name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Own => "your own objectives",
            Self::Soc2 => "SOC 2, Trust Services Criteria 2017",
            Self::Iso27001 => "ISO/IEC 27001:2022, Annex A",
            Self::Iso22301 => "ISO 22301:2019",
            Self::Hipaa => "HIPAA Security Rule, 45 CFR Part 164 Subpart C",
            Self::Dora => "DORA, Regulation (EU) 2022/2554",
            Self::Pci => "PCI DSS 4.0.1",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|profile| profile.id() == text);
        found.ok_or_else(|| {
            format!("`{text}` is not a profile; choose one of {}", Self::ALL.map(Self::id).join(", "))
        })
    }
}

/// A section of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Objectives, and whether they were met.
    Objectives,
    /// Drills, and the age of the last proof.
    Drills,
    /// Incidents, and the response to them.
    Incidents,
    /// Who approved what.
    Approvals,
    /// The duties of people.
    Obligations,
    /// Whether a second site could take over.
    Protection,
    /// Evidence bundles.
    Evidence,
    /// The journal and the ledger.
    Trail,
}

impl Section {
    /// All sections.
    pub const ALL: [Self; 8] = [
        Self::Objectives,
        Self::Drills,
        Self::Incidents,
        Self::Approvals,
        Self::Obligations,
        Self::Protection,
        Self::Evidence,
        Self::Trail,
    ];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Objectives => "objectives",
            Self::Drills => "drills",
            Self::Incidents => "incidents",
            Self::Approvals => "approvals",
            Self::Obligations => "duties",
            Self::Protection => "protection",
            Self::Evidence => "evidence",
            Self::Trail => "audit trail",
        }
    }
}

/// A control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Control {
    /// Its number in the standard.
    pub id: String,
    /// A short form of its requirement.
    pub asks: String,
    /// The sections of the report that relate to it.
    pub sections: Vec<Section>,
}

type Row = (&'static str, &'static str, &'static [Section]);

use Section as S;

const SOC2: &[Row] = &[
    (
        "A1.2",
        "recovery infrastructure is operated and monitored to meet objectives",
        &[S::Objectives, S::Protection],
    ),
    ("A1.3", "recovery plan procedures are tested", &[S::Drills]),
    ("CC7.2", "records of changes and events are monitored for anomalies", &[S::Trail]),
    ("CC7.4", "incidents are responded to by a defined program", &[S::Incidents, S::Obligations]),
    ("CC7.5", "recovery from incidents is identified and carried out", &[S::Incidents, S::Objectives]),
    ("CC8.1", "changes are authorised and approved", &[S::Approvals]),
];
const ISO27001: &[Row] = &[
    ("A.5.29", "information security during disruption", &[S::Incidents, S::Protection]),
    ("A.5.30", "ICT readiness for business continuity, by objectives and tests", &[S::Objectives, S::Drills]),
    ("A.5.26", "response to incidents by documented procedures", &[S::Incidents, S::Obligations]),
    ("A.5.27", "learning from incidents", &[S::Obligations]),
    ("A.5.28", "collection of evidence", &[S::Evidence]),
    ("A.8.14", "redundancy of processing facilities", &[S::Protection]),
    ("A.8.15", "logging", &[S::Trail]),
    ("A.8.32", "change management", &[S::Approvals]),
];
const ISO22301: &[Row] = &[
    ("8.2.2", "business impact analysis: recovery time objectives", &[S::Objectives]),
    ("8.4.5", "recovery", &[S::Incidents, S::Protection]),
    ("8.5", "exercise programme", &[S::Drills]),
    ("8.6", "evaluation of documentation and capabilities", &[S::Drills, S::Obligations]),
    ("7.5", "documented information", &[S::Evidence, S::Trail]),
    ("8.4.2", "response structure and authority", &[S::Approvals]),
];
const HIPAA: &[Row] = &[
    ("164.308(a)(7)(ii)(B)", "disaster recovery plan", &[S::Objectives, S::Incidents]),
    ("164.308(a)(7)(ii)(C)", "emergency mode operation plan", &[S::Approvals, S::Protection]),
    ("164.308(a)(7)(ii)(D)", "testing and revision procedures", &[S::Drills]),
    ("164.308(a)(6)(ii)", "response and reporting of incidents", &[S::Incidents, S::Obligations]),
    ("164.312(b)", "audit controls", &[S::Trail]),
    ("164.316(b)(2)(i)", "documentation is kept for six years", &[S::Evidence]),
];
const DORA: &[Row] = &[
    ("Art. 11", "response and recovery", &[S::Objectives, S::Incidents]),
    ("Art. 11(6)", "tests of continuity plans, at least yearly", &[S::Drills]),
    (
        "Art. 12",
        "backup, restoration and recovery; objectives for each function",
        &[S::Objectives, S::Protection],
    ),
    ("Art. 13", "learning and evolving: reviews after incidents", &[S::Obligations]),
    ("Art. 17", "incident management process", &[S::Incidents, S::Trail]),
    ("Art. 9(4)(e)", "change management, approved", &[S::Approvals]),
    ("Art. 17(2)", "records of incidents", &[S::Evidence]),
];
const PCI: &[Row] = &[
    (
        "12.10.1",
        "incident response plan with recovery and continuity procedures",
        &[S::Incidents, S::Objectives, S::Protection],
    ),
    (
        "12.10.2",
        "the incident response plan is tested at least every 12 months; recovery is a part of it",
        &[S::Drills],
    ),
    ("12.10.6", "the plan follows lessons learned", &[S::Obligations]),
    ("10.3", "audit logs are protected from change", &[S::Trail]),
    ("10.5.1", "audit log history is kept for 12 months", &[S::Evidence]),
    ("6.5.1", "changes are approved by authorised parties", &[S::Approvals]),
];

const fn rows(profile: Profile) -> &'static [Row] {
    match profile {
        Profile::Own => &[],
        Profile::Soc2 => SOC2,
        Profile::Iso27001 => ISO27001,
        Profile::Iso22301 => ISO22301,
        Profile::Hipaa => HIPAA,
        Profile::Dora => DORA,
        Profile::Pci => PCI,
    }
}

/// The controls of a standard.
pub fn for_profile(profile: Profile) -> Vec<Control> {
    let control = |(id, asks, sections): &Row| Control {
        id: (*id).to_owned(),
        asks: (*asks).to_owned(),
        sections: sections.to_vec(),
    };
    rows(profile).iter().map(control).collect()
}

/// The controls that a section relates to.
pub fn speaking(profile: Profile, section: Section) -> Vec<String> {
    let speaks = rows(profile).iter().filter(|(_, _, sections)| sections.contains(&section));
    speaks.map(|(id, ..)| (*id).to_owned()).collect()
}
