//! Versions of two numbers: of CUDA, and of what a GPU can compute.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `13.0`. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Of numbers that a C interface gave.
    pub fn new(major: i32, minor: i32) -> Self {
        let number = |number: i32| number.try_into().unwrap_or(0);
        Self {
            major: number(major),
            minor: number(minor),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.parse().ok();
        text.split_once('.')
            .and_then(|(major, minor)| {
                Some(Self {
                    major: number(major)?,
                    minor: number(minor)?,
                })
            })
            .ok_or_else(|| format!("`{text}` is no version such as 13.0"))
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let of = |text: &str| text.parse::<Version>().unwrap();
        assert!(of("12.10") > of("12.9") && of("13.0") > of("12.10"));
        assert_eq!(of("9.0"), Version::new(9, 0));
        assert_eq!(of("12.8").to_string(), "12.8");
        assert!("13".parse::<Version>().is_err() && "1.2.3".parse::<Version>().is_err());
    }
}
