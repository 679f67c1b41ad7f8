//! Whether a further build of a flavour is another program that does the same. In: programs of one
//! flavour. Out: why not. Builds nothing.

use super::Program;
use super::census::Order;
use std::fs;

/// What to do where a build has no layout of its own.
pub const ADVICE: &str = "a further build needs a linker that shuffles functions: rustc 1.90 and newer \
                          take one on x86-64 Linux (lld), elsewhere install lld and give the flavour \
                          rustflags = [\"-Clink-arg=-fuse-ld=lld\"], or take measure.builds = 1";

/// Holds the newest of a flavour's programs, which are in the order of their builds, against all others.
///
/// # Errors
/// Where it is one of them once more, or was made of something else.
pub fn differs(earlier: &[Program], newest: &Program) -> Result<(), String> {
    let Some(first) = earlier.first() else {
        return Ok(());
    };
    if newest.identity != first.identity {
        return Err(format!(
            "it was made of something else than build 1: it is {}, and build 1 is {}",
            newest.identity, first.identity
        ));
    }
    let order = order(newest);
    for (program, build) in earlier.iter().zip(1..) {
        if program.contents == newest.contents {
            return Err(format!("its file is that of build {build}, byte for byte"));
        }
        if order.is_some() && order == self::order(program) {
            return Err(format!("its functions stand in the order of build {build}"));
        }
    }
    Ok(())
}

/// None where the program does not name its functions.
fn order(program: &Program) -> Option<Order> {
    Order::of(&fs::read(program.executable()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::given_binary;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A file of these contents that says it was made of `identity`.
    fn program(contents: &[u8], identity: &str) -> Program {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Program {
            identity: identity.to_owned(),
            ..given_binary(&path).unwrap()
        }
    }

    #[test]
    fn a_further_build_is_another_program_of_the_same_sources() {
        let earlier = [program(b"a", "source:1"), program(b"b", "source:1")];
        let told = |contents, identity| differs(&earlier, &program(contents, identity));
        assert_eq!(told(b"c", "source:1"), Ok(()));
        assert_eq!(differs(&[], &earlier[0]), Ok(()));
        let same = "its file is that of build 2, byte for byte";
        assert_eq!(told(b"b", "source:1").unwrap_err(), same);
        let other = "it was made of something else than build 1: it is source:2, and build 1 is \
                     source:1";
        assert_eq!(told(b"c", "source:2").unwrap_err(), other);
    }

    #[test]
    fn other_bytes_with_functions_in_the_same_order_are_no_other_layout() {
        let own = fs::read("/proc/self/exe").unwrap();
        let longer = [&own[..], b"more"].concat();
        let earlier = [program(&own, "source:1")];
        let told = differs(&earlier, &program(&longer, "source:1")).unwrap_err();
        assert_eq!(told, "its functions stand in the order of build 1");
    }
}
