//! What is sent, locked and updated at a time. In: settings and variables. Out: the units of each
//! server, the same on both sides of a connection.

use super::encoding;
use super::shards::{LINE, assign};
use crate::spec::settings::Settings;
use crate::terms::{Consistency, Encoding};
use crate::worker::parameters::Piece;
use candle_core::Var;
use std::ops::Range;
use std::sync::Arc;

/// Elements of a unit where readers may see different states of one tensor: 1 MiB.
const BLOCK: usize = 1 << 18;

/// A part of a variable that is consistent in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub piece: Piece,
    /// Where it lies among all numbers of its server.
    pub place: Range<usize>,
    /// Where it lies in memory that two processes share, in which it may be encoded.
    pub slot: Range<usize>,
}

impl Unit {
    /// Numbers that it has.
    pub fn len(&self) -> usize {
        self.place.len()
    }

    /// Bytes of its numbers.
    pub fn bytes(&self) -> u64 {
        (self.len() * size_of::<f32>()) as u64
    }
}

/// The units of each server, in name order.
pub fn of_servers(settings: &Settings, variables: &[(String, Var)]) -> Vec<Arc<[Unit]>> {
    let variables: Vec<(&str, usize)> = variables
        .iter()
        .map(|(name, variable)| (name.as_str(), variable.elem_count()))
        .collect();
    let shards = assign(&variables, settings.shards, settings.servers);
    let units =
        |pieces: Vec<Piece>| lay_out(pieces.into_iter().flat_map(|p| cut(p, settings)), settings);
    shards.into_iter().map(units).collect()
}

/// Numbers of memory for all units, and of memory that two processes share.
pub fn room(units: &[Unit]) -> (usize, usize) {
    units
        .last()
        .map_or((0, 0), |last| (last.place.end, last.slot.end))
}

fn cut(piece: Piece, settings: &Settings) -> Vec<Piece> {
    let most = match settings.consistency {
        Consistency::Strict => usize::MAX,
        Consistency::Relaxed => BLOCK,
    };
    let Piece { variable, elements } = piece;
    elements
        .clone()
        .step_by(most)
        .map(|start| Piece {
            variable,
            elements: start..elements.end.min(start.saturating_add(most)),
        })
        .collect()
}

/// Each unit begins at the start of a cache line.
fn lay_out(pieces: impl Iterator<Item = Piece>, settings: &Settings) -> Arc<[Unit]> {
    let (mut place, mut slot) = (0, 0);
    pieces
        .map(|piece| {
            let length = piece.elements.len();
            let shared = match settings.encoding {
                Encoding::Raw => length,
                Encoding::Serialised => encoding::length(length).div_ceil(size_of::<f32>()),
            };
            let unit = Unit {
                piece,
                place: place..place + length,
                slot: slot..slot + shared,
            };
            place = unit.place.end.next_multiple_of(LINE);
            slot = unit.slot.end.next_multiple_of(LINE);
            unit
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{ModelName, Shards};
    use candle_core::{DType, Device};

    fn units(settings: &Settings) -> Vec<Arc<[Unit]>> {
        let variable = |length: usize| Var::zeros(length, DType::F32, &Device::Cpu).unwrap();
        let variables = [
            ("l/biases".to_owned(), variable(5)),
            ("l/weights".to_owned(), variable(2 * BLOCK + 3)),
        ];
        of_servers(settings, &variables)
    }

    #[test]
    fn a_unit_is_a_tensor_or_a_block_of_it() {
        let mut settings = Settings {
            servers: 1,
            shards: Shards::Greedy,
            ..Settings::defaults(ModelName::Mlp)
        };
        let strict = units(&settings);
        let lengths = |units: &[Unit]| units.iter().map(Unit::len).collect::<Vec<_>>();
        assert_eq!(lengths(&strict[0]), [5, 2 * BLOCK + 3]);
        assert_eq!(strict[0][1].place, LINE..LINE + 2 * BLOCK + 3);
        assert_eq!(room(&strict[0]).0, room(&strict[0]).1);
        settings.consistency = Consistency::Relaxed;
        settings.encoding = Encoding::Serialised;
        let relaxed = units(&settings);
        assert_eq!(lengths(&relaxed[0]), [5, BLOCK, BLOCK, 3]);
        let (place, slot) = room(&relaxed[0]);
        assert!(slot > place);
        settings.servers = 3;
        assert_eq!(
            lengths(&units(&settings)[2]),
            [0; 0],
            "a server may have none"
        );
    }
}
