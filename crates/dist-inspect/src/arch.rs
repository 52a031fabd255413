//! One spelling of processors on every platform.

/// The words for processors that formats use, and ours for them. Each word stands in lower case.
const WORDS: &[(&str, &str)] = &[
    ("x86_64", "x86_64"),
    ("x8664", "x86_64"),
    ("amd64", "x86_64"),
    ("x64", "x86_64"),
    ("x86_64h", "x86_64"),
    ("x86_64_v2", "x86_64"),
    ("x86_64_v3", "x86_64"),
    ("x86_64_v4", "x86_64"),
    ("arm64", "arm64"),
    ("aarch64", "arm64"),
    ("arm64e", "arm64"),
    ("arm64-v8a", "arm64"),
    ("x86", "x86"),
    ("intel", "x86"),
    ("i386", "x86"),
    ("i486", "x86"),
    ("i586", "x86"),
    ("i686", "x86"),
    ("386", "x86"),
    ("arm", "arm"),
    ("arm32", "arm"),
    ("armnt", "arm"),
    ("armel", "arm"),
    ("armhf", "arm"),
    ("armhfp", "arm"),
    ("armeabi", "arm"),
    ("armeabi-v7a", "arm"),
    ("armv5tel", "arm"),
    ("armv6", "arm"),
    ("armv6l", "arm"),
    ("armv6hl", "arm"),
    ("armv7", "arm"),
    ("armv7l", "arm"),
    ("armv7s", "arm"),
    ("armv7k", "arm"),
    ("arm64_32", "arm"),
    ("armv7hl", "arm"),
    ("armv7hnl", "arm"),
    // Windows Installer's word for Itanium.
    ("intel64", "ia64"),
    ("ia64", "ia64"),
    ("riscv64", "riscv64"),
    ("riscv", "riscv64"),
    ("mips", "mips"),
    ("mipsel", "mipsel"),
    ("mipsle", "mipsel"),
    ("mips64", "mips64"),
    ("mips64el", "mips64el"),
    ("mips64le", "mips64el"),
    ("ppc", "ppc"),
    ("powerpc", "ppc"),
    ("ppc64le", "ppc64le"),
    ("ppc64el", "ppc64le"),
    ("ppc64", "ppc64"),
    ("s390x", "s390x"),
    ("loongarch64", "loongarch64"),
    ("loong64", "loongarch64"),
    ("universal", "universal"),
    ("universal2", "universal"),
    ("all", "any"),
    ("any", "any"),
    ("noarch", "any"),
    ("neutral", "any"),
];

/// Our spelling of a processor that a format calls `word`, in whatever case; `None` where it is
/// not known. What runs on all of them is `any`.
pub fn spell(word: &str) -> Option<&'static str> {
    let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
    known.map(|(_, ours)| *ours)
}

/// Our spelling of a processor, or `word` itself where it is not known.
pub fn spelled(word: &str) -> &str {
    spell(word).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_has_its_own_words_for_one_processor() {
        for word in ["amd64", "x64", "x86_64", "X64"] {
            assert_eq!(spell(word), Some("x86_64"), "{word}");
        }
        for word in ["arm64-v8a", "aarch64", "arm64e"] {
            assert_eq!(spell(word), Some("arm64"), "{word}");
        }
        assert_eq!(spell("armhf"), Some("arm"));
        assert_eq!(
            (spell("x86_64_v3"), spell("mips64le")),
            (Some("x86_64"), Some("mips64el"))
        );
        assert_eq!(
            (spell("z80"), spelled("z80"), spelled("AMD64")),
            (None, "z80", "x86_64")
        );
    }
}
