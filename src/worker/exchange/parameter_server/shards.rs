//! Which server holds which part of which variable. In: names and lengths of all variables in name
//! order. Out: the pieces of each server. Knows neither memory nor processes.

use crate::terms::Shards;
use crate::worker::parameters::Piece;
use std::cmp::Reverse;
use std::ops::Range;

/// Cuts within a variable keep to multiples of this, a cache line.
pub const LINE: usize = 16;

/// The pieces of each of `servers`, in name order. `variables` are names and lengths in name order.
pub fn assign(variables: &[(&str, usize)], rule: Shards, servers: usize) -> Vec<Vec<Piece>> {
    let order = creation_order(variables);
    let mut shards = vec![Vec::new(); servers];
    match rule {
        Shards::RoundRobin => round_robin(&order, variables, &mut shards),
        Shards::Greedy => greedy(&order, variables, &mut shards),
        Shards::Split => split(&order, variables, &mut shards),
    }
    for pieces in &mut shards {
        pieces.sort_by_key(|piece| (piece.variable, piece.elements.start));
    }
    shards
}

/// Layers one after the other, in each the weights before the biases: the order in which programs
/// make variables, and TensorFlow counts them. Names put biases first.
fn creation_order(variables: &[(&str, usize)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..variables.len()).collect();
    order.sort_by_key(|variable| {
        let (layer, kind) = variables[*variable].0.rsplit_once('/').unwrap_or_default();
        (layer, Reverse(kind))
    });
    order
}

/// One after the other, whatever their size: what TensorFlow does by default.
fn round_robin(order: &[usize], variables: &[(&str, usize)], shards: &mut [Vec<Piece>]) {
    let servers = shards.len();
    for (turn, variable) in order.iter().enumerate() {
        shards[turn % servers].push(whole(*variable, variables));
    }
}

/// Each to the server that has fewest elements so far, in the order in which variables are made: what
/// TensorFlow calls greedy.
fn greedy(order: &[usize], variables: &[(&str, usize)], shards: &mut [Vec<Piece>]) {
    let mut loads = vec![0; shards.len()];
    for variable in order.iter().copied() {
        let least = (0..loads.len()).min_by_key(|server| loads[*server]);
        let server = least.expect("a cell with servers has one");
        loads[server] += variables[variable].1;
        shards[server].push(whole(variable, variables));
    }
}

/// All elements in a row, cut into equal parts.
fn split(order: &[usize], variables: &[(&str, usize)], shards: &mut [Vec<Piece>]) {
    let total: usize = variables.iter().map(|(_, length)| length).sum();
    let servers = shards.len();
    let mut start = 0;
    for variable in order {
        let length = variables[*variable].1;
        for (server, pieces) in shards.iter_mut().enumerate() {
            let cut = |server: usize| cut_within(start..start + length, total * server / servers);
            let elements = cut(server)..cut(server + 1);
            if !elements.is_empty() {
                pieces.push(Piece {
                    variable: *variable,
                    elements,
                });
            }
        }
        start += length;
    }
}

/// The place in a variable that lies at `row` in the row of all elements, at the start of a line.
fn cut_within(row: Range<usize>, at: usize) -> usize {
    if at >= row.end {
        return row.len();
    }
    at.saturating_sub(row.start) / LINE * LINE
}

fn whole(variable: usize, variables: &[(&str, usize)]) -> Piece {
    Piece {
        variable,
        elements: 0..variables[variable].1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use strum::VariantArray;

    /// The multilayer perceptron 256-4096-4096-256.
    const MLP: [(&str, usize); 6] = [
        ("layer01/biases", 4096),
        ("layer01/weights", 256 * 4096),
        ("layer02/biases", 4096),
        ("layer02/weights", 4096 * 4096),
        ("layer03/biases", 256),
        ("layer03/weights", 4096 * 256),
    ];

    fn loads(shards: &[Vec<Piece>]) -> Vec<usize> {
        let load = |pieces: &Vec<Piece>| pieces.iter().map(|piece| piece.elements.len()).sum();
        shards.iter().map(load).collect()
    }

    /// What the most loaded server has of all, in per cent.
    fn most(rule: Shards, servers: usize) -> f64 {
        let loads = loads(&assign(&MLP, rule, servers));
        let share = *loads.iter().max().unwrap() as f64 / loads.iter().sum::<usize>() as f64;
        (share * 1e4).round() / 1e2
    }

    #[test]
    fn round_robin_puts_all_weights_of_the_perceptron_on_one_of_two_servers() {
        assert_eq!(creation_order(&MLP), [1, 0, 3, 2, 5, 4]);
        assert_eq!(most(Shards::RoundRobin, 1), 100.0);
        assert_eq!(most(Shards::RoundRobin, 2), 99.96);
        for servers in [3, 4, 6] {
            assert_eq!(most(Shards::RoundRobin, servers), 88.85);
        }
    }

    #[test]
    fn greedy_is_bound_by_the_largest_variable() {
        assert_eq!(most(Shards::Greedy, 2), 88.87);
        assert_eq!(most(Shards::Greedy, 3), 88.85);
        assert_eq!(most(Shards::Greedy, 8), 88.85);
    }

    #[test]
    fn split_gives_all_servers_the_same() {
        for servers in 1..=7 {
            let loads = loads(&assign(&MLP, Shards::Split, servers));
            let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
            assert!(spread <= 2 * LINE, "{loads:?}");
        }
        assert_eq!(most(Shards::Split, 2), 50.0);
    }

    proptest! {
        #[test]
        fn every_element_has_one_server(lengths in prop::collection::vec(1usize..300, 1..9), servers in 1usize..9) {
            let names: Vec<String> = (0..lengths.len()).map(|i| format!("l{}/{}", i / 2, ["biases", "weights"][i % 2])).collect();
            let variables: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(lengths.iter().copied()).collect();
            for rule in Shards::VARIANTS {
                let mut covered: Vec<Vec<u32>> = lengths.iter().map(|length| vec![0; *length]).collect();
                for piece in assign(&variables, *rule, servers).into_iter().flatten() {
                    covered[piece.variable][piece.elements].iter_mut().for_each(|count| *count += 1);
                }
                prop_assert!(covered.iter().flatten().all(|count| *count == 1), "{rule}");
            }
        }
    }
}
