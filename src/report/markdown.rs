//! The report as Markdown, for chat channels and archives.

use minijinja::{Environment, context};

use super::summary::RunReport;
use super::words;
use crate::model::plain;

const TEMPLATE: &str = r"# {% if r.drill %}{{ r.drill | title }} drill{% if r.intent != 'drill' %} ({{ r.intent }}){% endif %}{% else %}{{ r.intent | title }}{% endif %} of {{ r.plan }}: {{ state }}

{% if r.drill %}> **A drill, class {{ r.drill }}**: {{ means }}.{% if r.returns %} The return of run `{{ (r.returns) | code }}`.{% endif %}

{% endif %}{% if r.world == 'sandbox' %}> **Rehearsal** in the sandbox, scenario `{{ (r.scenario) | code }}`, seed {{ r.seed }}. It changed nothing real and proves no objective.

{% endif %}{% if r.from_file %}> **From a file.** Nobody of this store adopted the run, so it proves nothing here.

{% endif %}{% for w in r.warnings %}> **{{ w.title }}**: {{ w.text }}{% if w.next %}; {{ w.next }}{% endif %}{% for c in w.commands %}{% if not loop.first %}, or{% endif %} `{{ c | code }}`{% endfor %}{{ w.then }}.

{% endfor %}| | |
|---|---|
| Run | `{{ (r.run_id) | code }}` |
| World | {{ r.world }} |
| From, to | {{ r.from or 'unknown' }} to {{ r.to }} |
| Requested by | {{ r.requester.who }}{% if not r.requester.signature %} (unsigned){% endif %}{% if r.reason %}: {{ r.reason }}{% endif %} |
| Severity, incident | {{ r.terms.severity.text }}, {{ r.incident or 'no incident' }} |
| Declared | {{ r.started_at }} |
| Ended | {{ r.ended_at or 'not yet' }} |
| Runbook | `{{ (r.runbook_digest) | code }}` |
| Recovery time | {{ r.rto.text }}{% if r.rto.basis != 'not_applicable' %}; objective {{ r.rto | promised }}: {{ r.rto | verdict }}{% endif %} |
| Recovery point | {{ r.rpo.text }}{% if r.rpo.basis != 'not_applicable' %}; objective {{ r.rpo | promised }}: {{ r.rpo | verdict }}{% endif %}{% for words in r.if_promoted_now %}; {{ words }}{% endfor %} |
| Fence | {{ r.fence.state | replace('_', ' ') }} |
{% if r.cancelled %}
**Cancelled** by {{ r.cancelled.who.who }}: {{ r.cancelled.reason }}
{% endif %}{% for effect in r.in_doubt %}
**In doubt:** {{ effect.text }}
{% endfor %}{% for w in r.waits_for %}
**{{ 'Answered' if w.answered else 'Waits for a person' }}:** {{ w.step }}: {{ w.why }}{% if w.command and not r.ways_on %}. Type: `{{ w.command | code }}`{% endif %}
{% endfor %}{% if r.error %}
**Not finished:** {% if r.ways_on %}{{ r.error.why | trim('.') }}. Ways on:
{% for way in r.ways_on %}
- `{{ way.command | code }}`: {{ way.means }}{% endfor %}{% else %}{{ r.error.hint }}{% endif %}
{% endif %}
## Clocks

| clock | time (UTC) |
|---|---|
| detected | {{ r.clocks.detected or (absent if r.rto.basis == 'not_applicable' else 'no outage seen') }} |
| decided | {{ r.clocks.decided }} |
| executed | {{ r.clocks.executed or absent }} |
| validated | {{ r.clocks.validated or absent }} |

From decided to validated: {{ r.clocks.rto_from_declaration }}.

## Stores
{% for name, store in r.stores | items %}
- **{{ name }}**: {{ store.rpo.text }}{% if store.rpo.component %}; objective {{ store.rpo | promised }}: {{ store.rpo | verdict }}{% endif %}{% if store.rpo.accepted %}; {{ store.rpo.accepted.text }}{% endif %}. Last instant a write can have been acknowledged: {{ store.last_instant }} ({{ store.because }}). Last commit replayed: {{ store.last_replayed or 'unknown' }}.{% else %}
None was promoted.{% endfor %}
{% for name, text in r.fence.components | items %}
- Fence of **{{ name }}**: {{ text }}{% endfor %}

{% for name, b in r.buckets | items %}
## Copies of {{ name }}
{% for line in b.text %}
- Before: {{ line }}{% else %}
- Before: the replication delay is unknown.{% endfor %}{% for line in b.found %}
- {{ line }}{% endfor %}
{% endfor %}
{% for name, found in r.protection.diverged | items %}{% for d in found %}
## Only on the old primary of {{ name }}

{% if d.transactions is none %}Not compared.{% else %}{{ d.transactions }} transactions that changed rows{% if d.first %}, from {{ d.first }} to {{ d.last }} by its clock{% endif %}.{% endif %} Kept there in `{{ (d.kept) | code }}`.
{% if d.tables %}
| table | inserted | updated | deleted | exported there |
|---|---|---|---|---|
{% for t in d.tables %}| {{ t.table }} | {{ t.inserted }} | {{ t.updated }} | {{ t.deleted }} | {% if t.file %}{{ t.exported }} rows: `{{ (t.file) | code }}`{% else %}not compared{% endif %} |
{% endfor %}{% if d.more %}
{{ d.more }}
{% endif %}{% endif %}{% endfor %}{% endfor %}
{% for x in r.restored %}
## {{ x.component }} as of {{ x.to_time }}

From backup `{{ (x.backup or 'none') | code }}`{% if x.fetched_bytes %} ({{ x.fetched_bytes }} bytes in {{ x.fetched_in_s | span }}){% endif %}. Last commit in the copy: {{ x.last_commit or 'before its backup' }}. First commit that is not in the copy: {{ x.next_commit or 'unknown' }}.

| check | result | found |
|---|---|---|
{% for c in x.checks %}| {{ c.what }} | {{ c.result }} | {{ c.found }} |
{% else %}| no check ran | | |
{% endfor %}{% if x.loss %}
{{ 'Lost' if x.in_place else 'Would be lost' }}: {{ x.loss.basis | replace('_', ' ') }} {{ x.loss.transactions }} transactions that changed rows after that time{% if x.loss.first %}, from {{ x.loss.first }} to {{ x.loss.last }}{% endif %}.
{% endif %}{% if x.kept %}
The previous data is kept on the host in `{{ (x.kept) | code }}`.
{% endif %}{% if x.destroyed %}
Removed: `{{ (x.destroyed.folder) | code }}`{% if x.destroyed.files %}, {{ x.destroyed.files }} files, {{ x.destroyed.bytes }} bytes. Nothing is left, and no process uses it{% endif %}.
{% endif %}{% for remark in x.remarks %}
- {{ remark }}{% endfor %}
{% endfor %}
## What people decided
{% for d in r.decisions %}
- {{ d.at }}: {% if d.what != 'Statement' %}**{{ d.what }}**: {% endif %}{{ d.text }}{% else %}
None.{% endfor %}

{% if r.stops %}## Stops
{% for s in r.stops %}
- {{ s.at }}: `{{ (s.step) | code }}` failed: {{ s.reason | trim('.') }}. {% for e in s.earlier %}{{ e.by.who }}{% if not e.by.signature %} (unsigned){% endif %} decided at {{ e.decided_at }}: {{ e.decision | replace('_', ' ') }}{% if e.why %}: {{ e.why }}{% endif %}; then {% endfor %}{% if s.decision %}{{ s.by.who }}{% if not s.by.signature %} (unsigned){% endif %} decided at {{ s.decided_at }}: {{ s.decision | replace('_', ' ') }}{% if s.why %}: {{ s.why | trim('.') }}{% endif %}{% if s.waits %} (waits until a process of the run reads it){% endif %}.{% else %}**Nobody has decided how to continue.**{% endif %}{% endfor %}

{% endif %}{% if r.debts %}## After the end: open items

Items that were due after the end of the run, and what happened since.

| item | status | since, or due | what |
|---|---|---|---|
{% for d in r.debts %}| {{ d.kind }} | {% if d.open %}**{{ d.status }}**{% else %}{{ d.status }}{% endif %} | {{ d.at or '' }} | {{ d.text }}{% for look in d.looks %}<br>{{ look }}{% endfor %} |
{% endfor %}
{% endif %}{% set back = r.steps | selectattr('undo') | list %}## Steps

| step | state | attempts | started | ended |{% if back %} undo |{% endif %} what |
|---|---|---|---|---|{% if back %}---|{% endif %}---|
{% for s in r.steps %}| `{{ (s.id) | code }}` | {{ s.shown }} | {{ s.attempts or '' }} | {{ s.started_at or '' }}{% if s.tried_again_at %}, again {{ s.tried_again_at }}{% endif %} | {{ s.ended_at or '' }} |{% if back %} {{ s.undo.text if s.undo else '' }} |{% endif %} {{ s.action }}{% if s.output %}: {{ s.output }}{% endif %}{% if s.reason %}: {{ s.reason }}{% endif %}{% if s.next_try %}; next try {{ s.next_try }}{% endif %} |
{% endfor %}{% if r.steps | selectattr('requests') | list %}
## Requests

The request IDs of the providers. A support case about a call needs them.

| step | requests |
|---|---|
{% for s in r.steps %}{% if s.requests %}| `{{ (s.id) | code }}` | `{{ (s.requests | join(', ')) | code }}` |
{% endif %}{% endfor %}{% endif %}
## What will revert this

{% if r.returns %}A Terraform apply or a GitOps loop will revert these changes where its configuration differs. Unless somebody updated it after the first move, it has the values from before the drill:{% else %}A Terraform apply or a GitOps loop that does not know these changes will revert them. Update its configuration:{% endif %}

| resource | attribute | before | after |
|---|---|---|---|
{% for c in r.changed %}| {{ c.resource }} | {{ c.attribute }} | {{ c.before }} | {{ c.after }} |
{% else %}| nothing changed | | | |
{% endfor %}{% if r.notes %}
## Notes
{% for n in r.notes %}
- {{ n }}{% endfor %}
{% endif %}";

/// Renders the report.
///
/// # Errors
/// Only if the template does not match the report, which a test excludes.
pub fn render(report: &RunReport) -> Result<String, String> {
    let environment = escaping();
    let value = serde_json::to_value(report).map_err(|e| e.to_string())?;
    environment
        .render_str(
            TEMPLATE,
            context! {
                r => minijinja::Value::from(minijinja::value::Serde(&value)),
                means => report.means,
                absent => absent(report),
                state => words::state(report, !report.undriven),
            },
        )
        .map_err(|e| format!("{e:#}"))
}

/// The text for a clock without a time.
fn absent(report: &RunReport) -> &'static str {
    match (report.rto.applies(), report.ended_at) {
        (false, _) => "not applicable",
        (true, Some(_)) => "never",
        (true, None) => "not yet",
    }
}

/// An environment that escapes Markdown, because a reason or a name may contain any text.
pub(super) fn escaping() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => out.write_str(&plain::markdown(text)).map_err(Into::into),
        _ => minijinja::escape_formatter(out, state, value),
    });
    super::measured::filters(&mut environment);
    environment.add_filter("code", |text: String| minijinja::Value::from_safe_string(plain::code(&text)));
    environment
}
