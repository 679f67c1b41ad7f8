//! Where the functions of a program stand. In: programs. Out: whether two of them have their functions
//! in one order. Reads ELF files for any processor.

use super::plain_name;
use object::{Object, ObjectSymbol, SymbolKind};

/// Names of functions in the order of their addresses, without what a compiler adds to tell builds apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order(Vec<String>);

impl Order {
    /// That of a program; none where it is no program, or has no names of functions.
    pub fn of(contents: &[u8]) -> Option<Self> {
        let file = object::File::parse(contents).ok()?;
        let functions = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
        let mut placed: Vec<(u64, String)> = functions
            .map(|symbol| {
                let name = symbol.name_bytes().unwrap_or_default();
                let name = plain_name(&String::from_utf8_lossy(name));
                (symbol.address(), name)
            })
            .collect();
        // Functions that were merged have one address, and no order of their own.
        placed.sort();
        let names: Vec<String> = placed.into_iter().map(|(_, name)| name).collect();
        (!names.is_empty()).then_some(Self(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_one_order() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let order = Order::of(&own).unwrap();
        assert!(order.0.len() > 1000);
        assert_eq!(Order::of(&own), Some(order));
        assert_eq!(Order::of(b"#!/bin/sh\n"), None);
    }
}
