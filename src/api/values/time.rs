//! Knows how a host writes durations.
//! Does not know what lasts so long.

use serde_json::Value;

use super::{OptionValue, wrong};

/// A duration: milliseconds, or a text with a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval(pub std::time::Duration);

impl Interval {
    const LONGEST: u64 = 86_400_000;

    fn millis(text: &str) -> Option<f64> {
        let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, unit) = text.split_at(unit);
        let factor = match unit.trim() {
            "ms" => 1.0,
            "s" => 1000.0,
            "min" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        Some(number.trim().parse::<f64>().ok()? * factor)
    }
}

impl OptionValue for Interval {
    fn read(value: &Value) -> Result<Self, String> {
        let millis = match value.as_str() {
            Some(text) => Self::millis(text.trim()),
            None => value.as_f64(),
        };
        millis
            .filter(|millis| (0.0..=Self::LONGEST as f64).contains(millis))
            // Anything above 0 is more than never.
            .map(|millis| Self(std::time::Duration::from_millis(millis.ceil() as u64)))
            .ok_or_else(|| wrong::<Self>(value))
    }

    fn show(&self) -> Option<Value> {
        Some((self.0.as_millis() as u64).into())
    }

    fn expected() -> String {
        format!(
            "milliseconds from 0 (never) to {}, or a text such as \"20 s\" with ms, s, min or h",
            Self::LONGEST
        )
    }
}

/// Seconds, fractions too, in a range. The plugin's -1 stands for off where 0 does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds<const MAX: i64>(pub f64);

impl<const MAX: i64> Seconds<MAX> {
    /// None: off.
    pub fn duration(self) -> Option<std::time::Duration> {
        (self.0 > 0.0).then(|| std::time::Duration::from_secs_f64(self.0))
    }
}

impl<const MAX: i64> OptionValue for Seconds<MAX> {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_f64() {
            Some(-1.0) => Ok(Self(0.0)),
            Some(seconds) if (0.0..=MAX as f64).contains(&seconds) => Ok(Self(seconds)),
            _ => Err(wrong::<Self>(value)),
        }
    }

    fn show(&self) -> Option<Value> {
        match self.0.fract() == 0.0 {
            true => Some((self.0 as i64).into()),
            false => Some(self.0.into()),
        }
    }

    fn expected() -> String {
        format!("a number of seconds from 0 (off) to {MAX}")
    }
}
