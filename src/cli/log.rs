//! Log output about a run in progress: to stderr, always without secrets.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::formats::LogFormat;
use super::printer::Printer;
use super::whereabouts::USUAL;
use crate::adapters::secrets::scrubbed;
use crate::app::environment;
use crate::app::error::AppError;
use crate::model::waiver::harmless;
use crate::world;

/// Starts logging, as requested by `RUST_LOG` or the number of `-v`. Without either, log messages are not even formatted.
///
/// # Errors
/// If `RUST_LOG` is not valid.
pub fn begin(printer: Printer, verbose: u8, format: LogFormat) -> Result<(), AppError> {
    let asked = match (environment::log_filter(), verbose) {
        (Some(filter), _) => filter,
        (None, 0) => return Ok(()),
        (None, 1) => "drctl=info".to_owned(),
        (None, 2) => "drctl=debug".to_owned(),
        (None, _) => "drctl=trace".to_owned(),
    };
    let targets: Targets = asked.parse().map_err(|e| {
        AppError::usage_fix(
            format!("RUST_LOG={} is not valid: {e}", harmless(&asked)),
            "use RUST_LOG=debug, or RUST_LOG=drctl=debug,aws_smithy_runtime=info",
        )
    })?;
    // Programs read JSON, so that no quoted path is added to it.
    let printer = if format == LogFormat::Json { printer.at(&USUAL) } else { printer };
    let lines = Lines { printer, format };
    // This fails only if a subscriber is set already, in a process with several commands.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(targets).with(lines));
    Ok(())
}

struct Lines {
    printer: Printer,
    format: LogFormat,
}

/// The fields of an event by name, as text without secrets.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), harmless(&scrubbed(format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), harmless(&scrubbed(value.to_owned())));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut spans = Vec::new();
        for span in
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            let of = span.extensions().get::<Fields>().map(|fields| fields.0.clone()).unwrap_or_default();
            spans.push((span.name(), of));
        }
        let message = fields.0.remove("message").unwrap_or_default();
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let at = world::wall();
        let line = match self.format {
            LogFormat::Json => {
                let spans: Vec<Value> =
                    spans.iter().map(|(name, fields)| json!({"span": name, "fields": fields})).collect();
                json!({"at": at, "level": level.as_str(), "target": target, "spans": spans, "message": message, "fields": fields.0})
                    .to_string()
            }
            LogFormat::Text => {
                let path: Vec<String> =
                    spans.iter().map(|(name, fields)| format!("{name}{{{}}}", words(fields))).collect();
                format!("{at} {level:5} {} {message} {}", path.join(":"), words(&fields.0))
                    .trim_end()
                    .to_owned()
            }
        };
        // A secret may extend over two fields.
        self.printer.note(&scrubbed(line));
    }
}

fn words(fields: &BTreeMap<&'static str, String>) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let _ = write!(text, "{}{name}={value}", if text.is_empty() { "" } else { " " });
    }
    text
}
