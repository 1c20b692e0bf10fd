use std::fmt;

/// How urgent a job is among its tenant's jobs: 0 to 9,000, higher goes first.
///
/// Priority orders the jobs of one tenant; it gives a tenant nothing over another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Priority(u16);

impl Priority {
    /// The lowest priority, which a job has when none is stated.
    pub const MIN: Priority = Priority(0);
    /// The highest priority, 9,000.
    pub const MAX: Priority = Priority(9_000);

    /// The priority nearest to `value`: below 0 becomes 0, above 9,000 becomes 9,000.
    #[inline]
    #[must_use]
    pub const fn new(value: i32) -> Priority {
        if value < Self::MIN.0 as i32 {
            Self::MIN
        } else if value > Self::MAX.0 as i32 {
            Self::MAX
        } else {
            Priority(value as u16)
        }
    }

    /// The priority as a number, `0..=9000`.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// One of the four classes of urgency that a tenant's jobs are kept in: 0 goes first, 3 last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Band(u8);

impl Band {
    /// How many bands there are.
    pub const COUNT: usize = 4;
    /// The band that goes first.
    pub const FIRST: Band = Band(0);
    /// The band that goes last.
    pub const LAST: Band = Band(3);

    /// The band's number, `0..=3`; 0 goes first.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which priorities are which band: three thresholds.
///
/// Inside a band jobs go in the order in which they came, so an order of priorities that is finer
/// than the bands is lost.
///
/// ```
/// use fairlane::{Band, Bands, Priority};
///
/// let bands = Bands::new([10, 100, 1_000])?;
/// assert_eq!(bands.band(Priority::new(0)), Band::LAST);
/// assert_eq!(bands.band(Priority::new(100)).index(), 1);
/// assert_eq!(bands.band(Priority::MAX), Band::FIRST);
/// # Ok::<(), fairlane::BandsError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bands([u16; Band::COUNT - 1]);

impl Bands {
    /// Says where the bands begin: priorities from `thresholds[2]` are band 0, those from
    /// `thresholds[1]` band 1, those from `thresholds[0]` band 2, and all below it band 3.
    ///
    /// # Errors
    /// [`BandsError`] when a threshold is outside `1..=9000`, or not above the one before it. So
    /// every band has a priority.
    pub const fn new(thresholds: [u16; Band::COUNT - 1]) -> Result<Bands, BandsError> {
        let mut before = Priority::MIN.0;
        let mut next = 0;
        while next < thresholds.len() {
            let threshold = thresholds[next];
            if threshold < 1 || threshold > Priority::MAX.0 {
                return Err(BandsError::OutOfRange { threshold });
            }
            if threshold <= before {
                return Err(BandsError::NotAscending { before, threshold });
            }
            before = threshold;
            next += 1;
        }
        Ok(Bands(thresholds))
    }

    /// The thresholds, ascending.
    #[must_use]
    pub const fn thresholds(self) -> [u16; Band::COUNT - 1] {
        self.0
    }

    /// The same as one word, and back: the thresholds were in order once.
    pub(crate) const fn pack(self) -> u64 {
        let [low, middle, high] = self.0;
        (low as u64) << 32 | (middle as u64) << 16 | high as u64
    }

    #[inline]
    pub(crate) const fn unpack(word: u64) -> Bands {
        Bands([(word >> 32) as u16, (word >> 16) as u16, word as u16])
    }

    /// The band of a priority.
    #[inline]
    #[must_use]
    pub fn band(self, priority: Priority) -> Band {
        let above = self.0.iter().filter(|&&threshold| priority.0 < threshold).count();
        Band(above as u8)
    }
}

/// Priorities below 3,000 are band 3, below 6,000 band 2, below 8,000 band 1, and from there band 0.
impl Default for Bands {
    fn default() -> Self {
        Bands([3_000, 6_000, 8_000])
    }
}

/// Why thresholds are no bands.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BandsError {
    /// A threshold is outside `1..=9000`.
    OutOfRange {
        /// The threshold.
        threshold: u16,
    },
    /// A threshold is not above the one before it.
    NotAscending {
        /// The one before it.
        before: u16,
        /// The threshold.
        threshold: u16,
    },
}

impl fmt::Display for BandsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BandsError::OutOfRange { threshold } => {
                write!(f, "priority threshold {threshold} is outside 1..=9000")
            }
            BandsError::NotAscending { before, threshold } => {
                write!(f, "priority threshold {threshold} is not above {before}, the one before it")
            }
        }
    }
}

impl std::error::Error for BandsError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A-11.
    #[test]
    fn a_priority_out_of_range_becomes_the_nearest_one() {
        let vectors = [(10_000, 9_000), (-5, 0), (50, 50), (i32::MIN, 0), (i32::MAX, 9_000)];
        for (given, kept) in vectors {
            assert_eq!(Priority::new(given).get(), kept, "{given}");
        }
        assert_eq!(Priority::default(), Priority::MIN);
    }

    #[test]
    fn a_band_begins_at_its_threshold() {
        let bands = Bands::new([10, 20, 30]).unwrap();
        let vectors = [(0, 3), (9, 3), (10, 2), (19, 2), (20, 1), (29, 1), (30, 0), (9_000, 0)];
        for (priority, band) in vectors {
            assert_eq!(bands.band(Priority::new(priority)).index(), band, "{priority}");
        }
        assert_eq!(Bands::new(bands.thresholds()), Ok(bands));
    }

    #[test]
    fn a_higher_priority_is_never_in_a_later_band() {
        let bands = Bands::default();
        assert_eq!(Bands::new(bands.thresholds()), Ok(bands));
        let all: Vec<Band> = (0..=9_000).map(|p| bands.band(Priority::new(p))).collect();
        assert!(all.windows(2).all(|pair| pair[0] >= pair[1]));
        assert_eq!((all[0], all[9_000]), (Band::LAST, Band::FIRST));
    }

    #[test]
    fn thresholds_that_leave_a_band_without_a_priority_are_refused() {
        let refused = |thresholds, text: &str| {
            assert_eq!(Bands::new(thresholds).unwrap_err().to_string(), text);
        };
        refused([0, 1, 2], "priority threshold 0 is outside 1..=9000");
        refused([1, 2, 9_001], "priority threshold 9001 is outside 1..=9000");
        refused([5, 5, 6], "priority threshold 5 is not above 5, the one before it");
        refused([5, 7, 6], "priority threshold 6 is not above 7, the one before it");
        assert!(Bands::new([1, 2, 9_000]).is_ok());
    }
}
