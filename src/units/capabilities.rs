use std::fmt;
use std::str::FromStr;

/// What a job needs of its worker, or what a worker has: a set of tokens such as `gpu`.
///
/// A worker can run a job if it has every token that the job needs, letter for letter. Who needs
/// nothing can be run by anyone.
///
/// ```
/// use fairlane::Capabilities;
///
/// let worker = Capabilities::new(["gpu", "cuda", "gpu"])?;
/// assert_eq!(worker.to_string(), "cuda,gpu");
/// let job: Capabilities = "gpu,tpu".parse()?;
/// assert!(!job.is_subset_of(&worker));
/// assert!(job.missing_from(&worker).eq(["tpu"]));
/// # Ok::<(), fairlane::CapabilitiesError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Capabilities {
    /// The tokens in the order of their bytes, each once, joined with commas. Since no token is
    /// empty or has a comma, equal texts are equal sets.
    joined: Box<str>,
}

impl Capabilities {
    /// The most tokens in a set.
    pub const TOKENS_MAX: usize = 256;
    /// The most bytes in a set's tokens, joined with commas.
    pub const BYTES_MAX: usize = 4_096;

    /// The set of `tokens`. Their order does not matter, and one that comes twice counts once.
    ///
    /// A token is not empty and has no comma, no white space, no control character and none of the
    /// characters that are shown as nothing, such as the zero-width space; so two tokens that look
    /// alike because of one of those are not taken for two.
    ///
    /// # Errors
    /// [`CapabilitiesError`] when a token breaks these rules, or the set a bound.
    pub fn new<T: AsRef<str>>(
        tokens: impl IntoIterator<Item = T>,
    ) -> Result<Capabilities, CapabilitiesError> {
        let tokens: Vec<T> = tokens.into_iter().collect();
        let mut tokens: Vec<&str> = tokens.iter().map(AsRef::as_ref).collect();
        tokens.iter().try_for_each(|token| check(token))?;
        tokens.sort_unstable();
        tokens.dedup();
        if tokens.len() > Self::TOKENS_MAX {
            return Err(CapabilitiesError::TooMany { tokens: tokens.len() });
        }
        let commas = tokens.len().saturating_sub(1);
        let bytes = commas + tokens.iter().map(|token| token.len()).sum::<usize>();
        if bytes > Self::BYTES_MAX {
            return Err(CapabilitiesError::TooLong { bytes });
        }
        Ok(Capabilities { joined: tokens.join(",").into_boxed_str() })
    }

    /// The tokens, in the order of their bytes.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        // Splitting the empty text would give one empty token.
        self.joined.split(',').filter(|token| !token.is_empty())
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }

    /// Whether `worker` has all of these.
    #[must_use]
    pub fn is_subset_of(&self, worker: &Capabilities) -> bool {
        self.missing_from(worker).next().is_none()
    }

    /// The tokens that `worker` lacks, in the order of their bytes.
    pub fn missing_from<'a>(
        &'a self,
        worker: &'a Capabilities,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut theirs = worker.tokens().peekable();
        self.tokens().filter(move |token| {
            while theirs.next_if(|their| their < token).is_some() {}
            theirs.next_if_eq(token).is_none()
        })
    }

    /// Eight lower-case hexadecimal digits that stand for the set in logs: the two halves of the
    /// FNV-1a hash, 64 bits wide, of the joined tokens, exclusive-or'd. Not a secure hash.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(&self.joined)
    }
}

/// The tokens joined with commas, in the order of their bytes; nothing for the empty set.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.joined)
    }
}

/// Reads tokens with commas between them. Nothing between two commas is no token, so `",,,"` is the
/// empty set; white space is refused, not trimmed.
impl FromStr for Capabilities {
    type Err = CapabilitiesError;

    fn from_str(joined: &str) -> Result<Self, Self::Err> {
        Capabilities::new(joined.split(',').filter(|token| !token.is_empty()))
    }
}

fn check(token: &str) -> Result<(), CapabilitiesError> {
    if token.is_empty() {
        return Err(CapabilitiesError::Empty);
    }
    match token.chars().find(|&character| !is_allowed(character)) {
        Some(character) => Err(CapabilitiesError::Forbidden { character }),
        None => Ok(()),
    }
}

fn is_allowed(character: char) -> bool {
    let is_separator = character == ',' || character.is_whitespace();
    !(is_separator || character.is_control() || is_shown_as_nothing(character))
}

/// Format characters, which print nothing or change the direction of what is around them.
fn is_shown_as_nothing(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn digest_of(text: &str) -> String {
    // The offset and the prime of FNV-1a (Fowler, Noll and Vo), 64 bits.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{:08x}", (hash >> 32) as u32 ^ hash as u32)
}

/// Why tokens are no set of capabilities.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapabilitiesError {
    /// A token is empty.
    Empty,
    /// A token has a comma, white space, a control character or one that is shown as nothing.
    Forbidden {
        /// The first such character.
        character: char,
    },
    /// More than 256 different tokens.
    TooMany {
        /// How many.
        tokens: usize,
    },
    /// The tokens joined with commas have more than 4,096 bytes.
    TooLong {
        /// How many.
        bytes: usize,
    },
}

impl fmt::Display for CapabilitiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens_max, bytes_max) = (Capabilities::TOKENS_MAX, Capabilities::BYTES_MAX);
        match self {
            CapabilitiesError::Empty => f.write_str("a capability is empty"),
            CapabilitiesError::Forbidden { character } => {
                write!(f, "a capability has U+{:04X}, which is ", u32::from(*character))?;
                f.write_str("a comma, white space, a control character or shown as nothing")
            }
            CapabilitiesError::TooMany { tokens } => {
                write!(f, "{tokens} capabilities, at most {tokens_max}")
            }
            CapabilitiesError::TooLong { bytes } => {
                write!(f, "capabilities of {bytes} bytes joined with commas, at most {bytes_max}")
            }
        }
    }
}

impl std::error::Error for CapabilitiesError {}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(joined: &str) -> Capabilities {
        joined.parse().unwrap()
    }

    /// A-30.
    #[test]
    fn a_worker_can_run_what_needs_a_part_of_what_it_has() {
        let worker = set("gpu,cuda,eu-west");
        for (job, can) in [
            ("", true),
            (",,,", true),
            ("gpu", true),
            ("eu-west,gpu", true),
            ("GPU", false),
            ("gp", false),
            ("gpu,tpu", false),
            ("a,gpu,z", false),
        ] {
            assert_eq!(set(job).is_subset_of(&worker), can, "{job}");
        }
        assert_eq!(set(",,,"), Capabilities::default());
        assert!(set(",,,").is_empty() && set("").is_subset_of(&set("")) && !worker.is_empty());
        assert!(!set("gpu").is_subset_of(&set("")));
    }

    /// A-31.
    #[test]
    fn a_token_that_is_empty_or_cannot_be_seen_is_refused() {
        assert_eq!(Capabilities::new([""]), Err(CapabilitiesError::Empty));
        let forbidden = [
            ',',
            ' ',
            '\t',
            '\n',
            '\0',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{2003}',
            '\u{2028}',
            '\u{3000}',
            '\u{200b}',
            '\u{202e}',
            '\u{feff}',
            '\u{e0041}',
        ];
        for character in forbidden {
            for token in [format!("a{character}"), format!("{character}a"), character.to_string()] {
                let refused = Capabilities::new(["ok", &token]);
                assert_eq!(refused, Err(CapabilitiesError::Forbidden { character }), "{token:?}");
            }
        }
        assert_eq!("a, b".parse::<Capabilities>().unwrap_err().to_string(), SPACE);
        let printable = ["größe", "東京", "e\u{301}t\u{e9}", "🦀", "a=b/c:d\"\\'", "-_.~!"];
        assert_eq!(Capabilities::new(printable).unwrap().tokens().count(), printable.len());
    }

    const SPACE: &str = "a capability has U+0020, which is a comma, white space, a control \
                         character or shown as nothing";

    /// A-32.
    #[test]
    fn bounds_are_inclusive_and_duplicates_are_merged_first() {
        let many = |count: usize| Capabilities::new((0..count).map(|n| n.to_string()));
        assert_eq!(many(256).unwrap().tokens().count(), 256);
        assert_eq!(many(257), Err(CapabilitiesError::TooMany { tokens: 257 }));
        let twice = (0..512).map(|n| (n % 256).to_string());
        assert_eq!(Capabilities::new(twice), many(256));

        let long = |bytes: usize| Capabilities::new(["a".repeat(96), "b".repeat(bytes - 97)]);
        assert_eq!(long(4_096).unwrap().to_string().len(), 4_096);
        assert_eq!(long(4_097), Err(CapabilitiesError::TooLong { bytes: 4_097 }));
        let token = "c".repeat(4_096);
        assert!(Capabilities::new([&token, &token]).is_ok());
        assert_eq!(many(257).unwrap_err().to_string(), "257 capabilities, at most 256");
        assert_eq!(
            long(4_097).unwrap_err().to_string(),
            "capabilities of 4097 bytes joined with commas, at most 4096"
        );
    }

    /// A-36. The contract's vectors are of texts; "gpu,cuda" is not how a set is joined.
    #[test]
    fn a_digest_is_the_folded_hash_of_the_joined_tokens() {
        let vectors = [
            ("", "4fd0bfc1"),
            ("a", "296230c0"),
            ("worker-a", "b4b78d38"),
            ("worker-b", "b4b7b521"),
            ("gpu,cuda", "b21a6dfa"),
        ];
        for (text, digest) in vectors {
            assert_eq!(digest_of(text), digest, "{text}");
        }
        assert_eq!(set("gpu,cuda").digest(), "c952a6c4");
        assert_eq!(set("cuda,gpu").digest(), digest_of("cuda,gpu"));
        assert_eq!(set(",,,").digest(), "4fd0bfc1");
    }

    /// Few short tokens, so that sets overlap, and prefixes of each other.
    fn tokens() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[ab-]{1,3}|é", 0..12)
    }

    proptest! {
        #[test]
        fn sets_agree_with_those_of_the_standard_library(job in tokens(), worker in tokens()) {
            let (jobs, workers) = (Capabilities::new(&job), Capabilities::new(&worker));
            let (jobs, workers) = (jobs.unwrap(), workers.unwrap());
            let job: BTreeSet<&str> = job.iter().map(String::as_str).collect();
            let worker: BTreeSet<&str> = worker.iter().map(String::as_str).collect();
            prop_assert!(jobs.tokens().eq(job.iter().copied()));
            prop_assert!(jobs.missing_from(&workers).eq(job.difference(&worker).copied()));
            prop_assert_eq!(jobs.is_subset_of(&workers), job.is_subset(&worker));
            prop_assert_eq!(jobs == workers, job == worker);
            prop_assert_eq!(jobs.is_empty(), job.is_empty());
        }

        #[test]
        fn a_set_reads_back_from_its_text(text in "[a-c,é]{0,20}") {
            let read = set(&text);
            prop_assert_eq!(&set(&read.to_string()), &read);
            prop_assert_eq!(read.digest().len(), 8);
            prop_assert!(read.digest().bytes().all(|b| b"0123456789abcdef".contains(&b)));
        }

        #[test]
        fn any_text_is_a_set_within_the_rules_or_refused(text in "[a,\\PC]{0,8}[\\s\\PC\\pC]?") {
            let wrong = |c: char| c.is_whitespace() || c.is_control() || is_shown_as_nothing(c);
            let read = text.parse::<Capabilities>();
            prop_assert_eq!(read.is_err(), text.chars().any(wrong));
            let read = read.unwrap_or_default();
            prop_assert!(read.tokens().all(|token| !token.is_empty() && !token.contains(',')));
        }
    }
}
