//! The report as PDF: PDF/A-2b (ISO 19005-2) for long-term storage, and PDF/UA-1 (ISO 14289-1) for screen readers. The page is A4, and the
//! font is embedded.

mod layout;
mod press;
mod tags;

use press::{Press, print};

use super::cells::Tone;
use super::charts;
use super::document::Compliance;
use super::sheet;

/// The report.
///
/// # Errors
/// If it cannot be written as PDF/A and PDF/UA. That does not depend on its content.
pub fn pdf(report: &Compliance) -> Result<Vec<u8>, String> {
    let sheet = sheet::sheet(report);
    let mut press = Press::new()?;
    press.title(&sheet.title);
    press.paragraph(&sheet.about, Tone::Soft, false);
    for banner in &sheet.banners {
        press.paragraph(&banner.text, banner.tone, true);
    }
    press.paragraph(&sheet.ledger, Tone::Soft, false);
    press.table(&sheet.figures);
    for picture in charts::pictures(report) {
        press.picture(&picture);
    }
    for table in &sheet.tables {
        press.table(table);
    }
    press.paragraph(&sheet.proof, Tone::Soft, false);
    print(press, &sheet.title, report)
}
