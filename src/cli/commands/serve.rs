//! `drctl serve`

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::run_presenter::RunPresenter;
use crate::app::serve;
use crate::app::serve::{Board, Listen, ServeOptions, ServerPresenter, Tone};
use crate::cli::args::{Global, ServeArgs};
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::model::time::Timestamp;
use crate::server;

/// Runs drills when they are due.
pub fn run(global: &Global, printer: &Printer, args: &ServeArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let listen = args.listen.map(|address| -> Listen {
        Box::new(move |first| match server::Board::listen(address, first) {
            Ok(board) => Ok(Box::new(board) as Box<dyn Board>),
            Err(why) => Err(AppError::usage(format!("drctl cannot listen at {why}"))),
        })
    });
    let options = ServeOptions { from: args.from.clone(), until: args.until.clone(), listen };
    serve::run(context, Arc::new(*printer), options)
}

impl ServerPresenter for Printer {
    fn event(&self, at: Timestamp, what: &str, more: &Value, words: &str) {
        if self.format == Format::Human {
            return self.line(&format!("{at}  {words}"));
        }
        let mut document = json!({"schema_version": 1, "at": at, "event": what});
        if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
            document.extend(more.clone());
        }
        self.line(&document.to_string());
    }

    fn toned(&self, tone: Tone, words: &str) -> String {
        let colour = match tone {
            Tone::Good => GREEN,
            Tone::Doubtful => YELLOW,
            Tone::Bad => RED,
        };
        self.paint(colour, words)
    }

    fn quiet(&self, silent: bool) -> Box<dyn RunPresenter> {
        let quiet = self.in_format(Format::Json);
        Box::new(if silent { quiet.silent() } else { quiet })
    }
}
