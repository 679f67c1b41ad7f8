//! Proof that two builds differ in what runs. In: programs. Out: for each function the shape of its
//! code and how many instructions use wide vector registers, and what two programs have in common.
//! Reads ELF files for x86-64; says of others that they were not compared.

mod order;

pub use order::Order;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use object::{Architecture, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::AddAssign;

/// Parts of the program in which time is spent, by what the names of their functions hold.
pub const PARTS: [(&str, &[&str]); 2] = [
    ("worker", &["4xrun6worker", "xrun..worker"]),
    ("gemm", &["gemm"]),
];

/// Instructions that use a register of 256 or of 512 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    pub ymm: usize,
    pub zmm: usize,
}

/// One function, or several of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Function {
    widths: Widths,
    /// Of operations and registers, without addresses, constants and padding.
    code: u64,
}

/// The functions of a program by name, without what a compiler adds to tell builds apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    functions: BTreeMap<String, Function>,
}

/// What two programs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Every function has the same instructions, addresses and constants apart.
    SameCode,
    /// Every function of [`PARTS`] uses wide registers equally often.
    SameWidths,
    Different,
}

impl Census {
    /// Decodes every function of a program.
    ///
    /// # Errors
    /// Where it is no ELF file for x86-64, or has no names of functions; for people.
    pub fn of(contents: &[u8]) -> Result<Self, String> {
        let file = object::File::parse(contents).map_err(|error| error.to_string())?;
        if file.architecture() != Architecture::X86_64 {
            return Err(format!(
                "it is for {:?}, not for x86-64",
                file.architecture()
            ));
        }
        let mut functions: BTreeMap<String, Function> = BTreeMap::new();
        for symbol in file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text)
        {
            let Some(code) = code(&file, &symbol) else {
                continue;
            };
            let name = symbol.name_bytes().unwrap_or_default();
            let name = plain_name(&String::from_utf8_lossy(name));
            *functions.entry(name).or_default() += look(code, symbol.address());
        }
        if functions.is_empty() {
            return Err("it is stripped of the names of its functions".to_owned());
        }
        Ok(Self { functions })
    }

    /// Sums over the functions of each of [`PARTS`].
    pub fn widths(&self) -> [(&'static str, Widths); PARTS.len()] {
        PARTS.map(|(part, marks)| {
            let mut sum = Widths::default();
            self.of_part(marks)
                .for_each(|(_, function)| sum += function.widths);
            (part, sum)
        })
    }

    pub fn likeness(&self, other: &Self) -> Likeness {
        // Functions that use no wide register come and go with inlining.
        let wide = |census: &Self| {
            let of_parts = PARTS.iter().flat_map(|(_, marks)| census.of_part(marks));
            let widths = of_parts.map(|(name, function)| (name.to_owned(), function.widths));
            let wide = widths.filter(|(_, widths)| *widths != Widths::default());
            wide.collect::<BTreeMap<_, _>>()
        };
        if self == other {
            Likeness::SameCode
        } else if wide(self) == wide(other) {
            Likeness::SameWidths
        } else {
            Likeness::Different
        }
    }

    fn of_part<'a>(&'a self, marks: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a Function)> {
        let functions = self.functions.iter();
        let marked = functions.filter(|(name, _)| marks.iter().any(|mark| name.contains(mark)));
        marked.map(|(name, function)| (name.as_str(), function))
    }
}

impl AddAssign for Widths {
    fn add_assign(&mut self, other: Self) {
        self.ymm += other.ymm;
        self.zmm += other.zmm;
    }
}

impl AddAssign for Function {
    /// The same sum in any order.
    fn add_assign(&mut self, other: Self) {
        self.widths += other.widths;
        self.code = self.code.wrapping_add(other.code);
    }
}

/// The bytes of a function.
fn code<'a>(file: &object::File<'a>, symbol: &impl ObjectSymbol<'a>) -> Option<&'a [u8]> {
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let found = section.data_range(symbol.address(), symbol.size()).ok()?;
    found.filter(|code| !code.is_empty())
}

fn look(code: &[u8], address: u64) -> Function {
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let (mut widths, mut shape) = (Widths::default(), DefaultHasher::new());
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        // Padding depends on where a function begins.
        if instruction.mnemonic() == Mnemonic::Nop {
            continue;
        }
        instruction.code().hash(&mut shape);
        let (mut ymm, mut zmm) = (false, false);
        for operand in 0..instruction.op_count() {
            if instruction.op_kind(operand) == OpKind::Register {
                let register = instruction.op_register(operand);
                register.hash(&mut shape);
                ymm |= (Register::YMM0..=Register::YMM31).contains(&register);
                zmm |= (Register::ZMM0..=Register::ZMM31).contains(&register);
            }
        }
        widths += Widths {
            ymm: usize::from(ymm),
            zmm: usize::from(zmm),
        };
    }
    Function {
        widths,
        code: shape.finish(),
    }
}

/// A mangled name without the hashes that differ between builds of the same source: `17h…E` at the end
/// of old names, `Cs…_` before the crates of new ones, and what the linker adds behind a dot.
fn plain_name(name: &str) -> String {
    let name = name.split(".llvm.").next().unwrap_or(name);
    if let Some((path, hash)) = name.rsplit_once("17h")
        && hash.len() == 17
        && hash.ends_with('E')
    {
        return path.to_owned();
    }
    if !name.starts_with("_R") {
        return name.to_owned();
    }
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("Cs") {
        plain.push_str(before);
        plain.push('C');
        let end = after.find(|c: char| !c.is_ascii_alphanumeric());
        rest = match end {
            Some(end) if after[end..].starts_with('_') => &after[end + 1..],
            _ => after,
        };
    }
    plain + rest
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_counted_by_their_widest_register() {
        // vaddps ymm0, ymm0, ymm1; vaddps zmm0, zmm0, zmm1; addps xmm0, xmm1; ret
        let code = [
            0xc5, 0xfc, 0x58, 0xc1, 0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1, 0x0f, 0x58, 0xc1, 0xc3,
        ];
        let function = look(&code, 0);
        assert_eq!(function.widths, Widths { ymm: 1, zmm: 1 });
    }

    #[test]
    fn constants_and_addresses_are_no_difference_and_registers_are() {
        // mov eax, 1; jmp +0 and the same with other numbers, then with ecx.
        let shape = |code: &[u8], address| look(code, address).code;
        let plain = shape(&[0xb8, 1, 0, 0, 0, 0xeb, 0], 0);
        assert_eq!(shape(&[0xb8, 9, 0, 0, 0, 0xeb, 4], 4096), plain);
        assert_ne!(shape(&[0xb9, 1, 0, 0, 0, 0xeb, 0], 0), plain);
    }

    #[test]
    fn names_lose_what_differs_between_builds() {
        assert_eq!(
            plain_name("_ZN4gemm4main17h0123456789abcdefE"),
            "_ZN4gemm4main"
        );
        assert_eq!(
            plain_name("_ZN4gemm4main17h0123456789abcdefE.llvm.99"),
            "_ZN4gemm4main"
        );
        assert_eq!(plain_name("_RNvCs1234abc_4xrun4main"), "_RNvC4xrun4main");
        assert_eq!(plain_name("memcpy"), "memcpy");
    }

    #[test]
    fn this_program_is_like_itself_and_has_wide_kernels() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let census = Census::of(&own).unwrap();
        assert_eq!(census.likeness(&census), Likeness::SameCode);
        let [(_, worker), (_, gemm)] = census.widths();
        assert!(worker.ymm > 0 && worker.zmm > 0, "{worker:?}");
        assert!(gemm.ymm > 0, "{gemm:?}");
    }

    #[test]
    fn what_is_no_program_is_not_compared() {
        assert!(Census::of(b"#!/bin/sh\n").is_err());
    }
}
