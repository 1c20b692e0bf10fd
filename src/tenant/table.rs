//! Names to slots.

use super::row::{Row, Terms};
use crate::ring::Word;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Chunks, IS_MODEL, Mutex, Names, ord};

/// Rows per chunk of memory.
const CHUNK_ROWS: u32 = if IS_MODEL { 2 } else { 64 };

/// Lanes of a tenant beside its first: one for each set of capabilities that its jobs require.
pub(crate) const EXTRA_PER_TENANT: u32 = 4;
/// Such lanes in an engine.
const EXTRA_MAX: u32 = if IS_MODEL { 2 } else { 65_536 };

type RowChunk = [Row; CHUNK_ROWS as usize];

/// All tenants of an engine. Looking a name up waits for no other look-up ([`Names`]); giving a new
/// name a slot takes a lock.
pub(crate) struct Table {
    /// Name to `slot 32 | generation 32`.
    names: Names,
    rows: Chunks<RowChunk>,
    /// Slots that have ever had a tenant: `0..used`. Grows under the registry's lock.
    used: AtomicU32,
    tenants_max: u32,
    /// The number of the first lane that is not a tenant's first one, and how many of those there may be.
    extra: (u32, u32),
    /// Extra lanes that have ever been used. Grows under the lock of whoever hands them out.
    extra_used: AtomicU32,
    /// Where the ring positions of a new row begin.
    first_position: u32,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    /// Slots whose tenant was given up, with the generation of their next one.
    free: Vec<(u32, u16)>,
    /// What the retired tenants had counted.
    retired: Retired,
    /// Whether new names are refused.
    closed: bool,
    /// Whether any tenant may have a lane beside its first.
    has_extra: bool,
}

/// What is kept for tenants elsewhere, and may keep them from being given up.
pub(crate) trait Beside {
    /// Whether the tenant in `slot`, of `profile`, would lose nothing there.
    fn is_idle(&self, slot: u32, profile: u32) -> bool;

    /// Calls `retire` if the tenant in `slot` has no lane beside its first, while it can get none.
    fn if_alone(&self, slot: u32, retire: &mut dyn FnMut());
}

/// Nothing is.
#[cfg(test)]
impl Beside for () {
    fn is_idle(&self, _slot: u32, _profile: u32) -> bool {
        true
    }

    fn if_alone(&self, _slot: u32, retire: &mut dyn FnMut()) {
        retire();
    }
}

/// Totals of tenants that no longer have a slot.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Retired {
    pub(crate) tenants: u64,
    pub(crate) dispatched: u64,
    pub(crate) served_cost: u64,
}

/// What protects a tenant from being given up, in units of 2^30 ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    /// When the oldest grant that may still be out was made.
    pub(crate) live_since: u32,
    /// Debts for jobs granted before this are forgotten.
    pub(crate) debt_since: u32,
}

/// A name's slot and generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Interned {
    pub(crate) slot: u32,
    pub(crate) generation: u16,
}

/// Why a name got no slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InternError {
    /// All slots are taken by tenants that are not idle.
    Full,
    /// The engine drains or has stopped.
    Closed,
}

impl Table {
    #[cfg(test)]
    pub(crate) fn new(tenants_max: u32) -> Self {
        Table::starting_at(tenants_max, 0, None)
    }

    /// An empty table, with the first ring position of every lane and the key of the names' hash
    /// chosen, so that tests start just before the wrap and see the same order in every run.
    pub(crate) fn starting_at(
        tenants_max: u32,
        first_position: u32,
        names_key: Option<u64>,
    ) -> Self {
        let first_extra = tenants_max.next_multiple_of(64);
        let extra = (first_extra, EXTRA_MAX.min(tenants_max.saturating_mul(EXTRA_PER_TENANT)));
        Table {
            names: Names::new(names_key),
            rows: Chunks::new((extra.0 + extra.1).div_ceil(CHUNK_ROWS) as usize),
            used: AtomicU32::new(0),
            tenants_max,
            extra,
            extra_used: AtomicU32::new(0),
            first_position,
            registry: Mutex::new(Registry::default()),
        }
    }

    /// The row of a slot that has had a tenant.
    #[inline]
    pub(crate) fn row(&self, slot: u32) -> &Row {
        let chunk = self.rows.get((slot / CHUNK_ROWS) as usize);
        &chunk.expect("a slot given out has a row")[(slot % CHUNK_ROWS) as usize]
    }

    /// Slots that have ever had a tenant; their rows exist.
    pub(crate) fn used(&self) -> u32 {
        // ORDERING(table.used): Acquire; pairs with table.grow.
        self.used.load(ord!("table.used", Acquire => Relaxed))
    }

    pub(crate) fn tenants_max(&self) -> u32 {
        self.tenants_max
    }

    /// The first lane that is not a tenant's first one, and how many of those there may be.
    pub(crate) fn extra(&self) -> (u32, u32) {
        self.extra
    }

    /// From now on tenants may have lanes beside their first. Nobody is being given up meanwhile.
    pub(crate) fn allow_extra(&self) {
        let mut registry = self.registry.lock().expect("no code panics under the registry's lock");
        registry.has_extra = true;
    }

    /// Makes one more extra lane. The caller holds the lock of whoever hands them out.
    pub(crate) fn grow_extra(&self) -> Option<u32> {
        let used = self.extra_used.load(Relaxed);
        if used >= self.extra.1 {
            return None;
        }
        let lane = self.extra.0 + used;
        self.make_chunk(lane);
        // ORDERING(table.grow): Release: the row exists; pairs with table.used.
        self.extra_used.store(used + 1, ord!("table.grow", Release => Relaxed));
        Some(lane)
    }

    /// Every extra lane that has ever been used.
    pub(crate) fn extra_rows(&self) -> impl Iterator<Item = (u32, &Row)> {
        // ORDERING(table.used): Acquire; pairs with table.grow.
        let used = self.extra_used.load(ord!("table.used", Acquire => Relaxed));
        (self.extra.0..self.extra.0 + used).map(|lane| (lane, self.row(lane)))
    }

    /// Every lane.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (u32, &Row)> {
        self.rows().chain(self.extra_rows())
    }

    fn make_chunk(&self, lane: u32) {
        self.rows.get_or_make((lane / CHUNK_ROWS) as usize, || {
            let first = lane / CHUNK_ROWS * CHUNK_ROWS;
            std::array::from_fn(|at| Row::starting_at(first + at as u32, self.first_position))
        });
    }

    /// Every tenant's first row, with its slot.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u32, &Row)> {
        (0..self.used()).map(|slot| (slot, self.row(slot)))
    }

    /// Calls `visit` with every name and its slot.
    pub(crate) fn for_each_name(&self, mut visit: impl FnMut(&str, Interned)) {
        self.names.for_each(|name, packed, _| visit(name, unpack(packed)));
    }

    /// The slot of a known name.
    pub(crate) fn find(&self, name: &str) -> Option<Interned> {
        self.names.get(name).map(unpack)
    }

    /// The slot of `name`, given to it now if it is new. `terms` are stored in its row, under the
    /// lock, so that they cannot reach a slot that was given up meanwhile.
    ///
    /// `ages` tells, when asked, what protects a tenant from being given up for a new one, and
    /// `beside` what others keep for it.
    pub(crate) fn intern_beside(
        &self,
        name: &str,
        terms: Terms,
        ages: impl Fn() -> Ages,
        beside: &impl Beside,
    ) -> Result<Interned, InternError> {
        let mut registry = self.registry.lock().expect("no code panics under the registry's lock");
        if let Some(known) = self.find(name) {
            self.note_use(known, terms);
            return Ok(known);
        }
        if registry.closed {
            return Err(InternError::Closed);
        }
        let new = self.new_slot(&mut registry, ages, beside).ok_or(InternError::Full)?;
        let row = self.row(new.slot);
        row.drained.begin_tenant(new.generation);
        self.note_use(new, terms);
        self.names.insert(name, pack(new));
        Ok(new)
    }

    /// The same where no grant is out.
    #[cfg(test)]
    pub(crate) fn intern(&self, name: &str, terms: Terms) -> Result<Interned, InternError> {
        let ages = || Ages { live_since: u32::MAX, debt_since: u32::MAX };
        self.intern_beside(name, terms, ages, &())
    }

    fn note_use(&self, known: Interned, terms: Terms) {
        self.row(known.slot).set_terms(terms);
        self.touch(known);
    }

    /// Notes that the tenant was asked for by name.
    pub(crate) fn touch(&self, known: Interned) {
        let row = self.row(known.slot);
        if row.touched.load(Relaxed) == 0 {
            row.touched.store(1, Relaxed);
        }
    }

    fn new_slot(
        &self,
        registry: &mut Registry,
        ages: impl Fn() -> Ages,
        beside: &impl Beside,
    ) -> Option<Interned> {
        if let Some(new) = self.grow() {
            return Some(new);
        }
        if registry.free.is_empty() {
            self.reclaim(registry, ages, beside);
        }
        registry.free.pop().map(|(slot, generation)| Interned { slot, generation })
    }

    fn grow(&self) -> Option<Interned> {
        let slot = self.used.load(Relaxed);
        if slot >= self.tenants_max {
            return None;
        }
        self.make_chunk(slot);
        // ORDERING(table.grow): Release: the row exists; pairs with table.used.
        self.used.store(slot + 1, ord!("table.grow", Release => Relaxed));
        Some(Interned { slot, generation: 0 })
    }

    /// Gives up idle tenants, an eighth of the table at most: first those nobody has asked for
    /// since the last time, and only if there is none, any.
    ///
    /// Idle means no job, no grant out, no recent debt, no live quota, and out of the rotation. Costs a pass over all
    /// names; it is needed once per eighth of the table.
    fn reclaim(&self, registry: &mut Registry, ages: impl Fn() -> Ages, beside: &impl Beside) {
        let most = (self.tenants_max as usize / 8).max(1);
        let mut spare = Vec::new();
        let mut idle = Vec::new();
        // Those that cannot go anyway must not take the places of those that can.
        let early = ages();
        self.names.for_each(|name, packed, part| {
            let tenant = unpack(packed);
            let row = self.row(tenant.slot);
            let touched = row.touched.load(Relaxed) != 0;
            row.touched.store(0, Relaxed);
            let list = if touched { &mut idle } else { &mut spare };
            let can_go = || is_free(row, early) && beside.is_idle(tenant.slot, row.profile());
            let wanted = list.len() < part.of(most) && can_go();
            if let (true, Some(word)) = (wanted, row.idle_word()) {
                list.push((Box::<str>::from(name), tenant, word));
            }
        });
        // Asked after the lanes were found idle: their jobs have all been granted by then.
        let ages = ages();
        let stays_free = |(_, tenant, _): &(_, Interned, _)| {
            let row = self.row(tenant.slot);
            is_free(row, ages) && beside.is_idle(tenant.slot, row.profile())
        };
        spare.retain(stays_free);
        idle.retain(stays_free);
        let victims = if spare.is_empty() { idle } else { spare };
        for (name, tenant, word) in victims {
            self.retire(registry, &name, (tenant, word), beside);
        }
    }

    fn retire(
        &self,
        registry: &mut Registry,
        name: &str,
        (tenant, word): (Interned, Word),
        beside: &impl Beside,
    ) {
        let row = self.row(tenant.slot);
        let mut generation = None;
        let mut retire = || generation = row.tail.retire(word);
        if registry.has_extra {
            beside.if_alone(tenant.slot, &mut retire);
        } else {
            retire();
        }
        let Some(generation) = generation else { return };
        self.names.remove(name);
        let (dispatched, served_cost) = row.served();
        registry.retired.tenants += 1;
        registry.retired.dispatched += dispatched;
        registry.retired.served_cost += served_cost;
        row.clear_for(generation);
        registry.free.push((tenant.slot, generation));
    }

    /// Totals of the tenants given up so far.
    pub(crate) fn retired(&self) -> Retired {
        self.registry.lock().expect("no code panics under the registry's lock").retired
    }

    /// Refuses new names and closes every lane: whatever is accepted was accepted before.
    pub(crate) fn close(&self) {
        self.registry.lock().expect("no code panics under the registry's lock").closed = true;
        for (_, row) in self.lanes() {
            row.tail.close();
        }
    }
}

/// Whether an idle tenant has no grant out and no recent debt.
fn is_free(row: &Row, ages: Ages) -> bool {
    row.rested_at.load(Relaxed) < ages.live_since && !row.owes_since(ages.debt_since)
}

const fn pack(tenant: Interned) -> u64 {
    (tenant.slot as u64) << 32 | tenant.generation as u64
}

const fn unpack(packed: u64) -> Interned {
    Interned { slot: (packed >> 32) as u32, generation: packed as u16 }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    fn terms(profile: u32) -> Terms {
        Terms::plain(profile, 10)
    }

    #[test]
    fn a_name_keeps_its_slot_and_a_new_tier_moves_the_tenant() {
        let table = Table::new(10);
        let first = table.intern("acme", terms(0)).unwrap();
        assert_eq!(table.intern("acme", terms(2)).unwrap(), first);
        assert_eq!(table.row(first.slot).profile(), 2);
        assert_ne!(table.intern("umbra", terms(0)).unwrap().slot, first.slot);
    }

    #[test]
    fn at_the_cap_idle_tenants_make_room_and_their_handles_go_stale() {
        let table = Table::new(8);
        let old: Vec<_> =
            (0..8).map(|k| table.intern(&format!("t{k}"), terms(0)).unwrap()).collect();
        let new = table.intern("newcomer", terms(0)).unwrap();
        let before = old.iter().find(|tenant| tenant.slot == new.slot).unwrap();
        assert_eq!(new.generation, before.generation + 1);
        assert_eq!(table.retired().tenants, 1);
        assert_eq!(table.used(), 8);
    }

    #[test]
    fn a_closed_table_knows_its_tenants_and_takes_no_new_one() {
        let table = Table::new(8);
        let known = table.intern("acme", terms(0)).unwrap();
        table.close();
        assert_eq!(table.intern("acme", terms(0)), Ok(known));
        assert_eq!(table.intern("umbra", terms(0)), Err(InternError::Closed));
        assert!(table.row(known.slot).tail.look().is_closed());
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_left_alone() {
        let table = Table::new(1);
        for round in 0..=u16::MAX as u32 {
            table.intern(&format!("t{round}"), terms(0)).unwrap();
        }
        assert_eq!(table.intern("one too many", terms(0)), Err(InternError::Full));
    }
}
