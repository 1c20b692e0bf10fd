//! Which requirement sets are alive, and who can run them.
//!
//! Each distinct set of capabilities that some user needs is a class with a number below 64, so
//! that what a worker can run is one word. Numbers and counts only: no sharing, no clock.

#[cfg(all(test, not(fairlane_loom)))]
mod tests;

use crate::units::Capabilities;

/// The most classes at once, the empty one included: a bit of a word each.
pub(crate) const CLASSES_MAX: usize = 64;

/// The number of a class. It is given to another set once its last user is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ClassId(u8);

impl ClassId {
    /// The class of what needs nothing, which is always there.
    pub(crate) const ANY: ClassId = ClassId(0);

    /// The number, `0..64`.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// The class's bit in a word of classes.
    pub(crate) const fn bit(self) -> u64 {
        1 << self.0
    }
}

/// All 64 classes are other sets' already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooManyClasses;

/// The requirement sets that are alive, and the live workers.
///
/// # Cost
/// A look at every class that is alive to acquire one; a comparison of sets for every distinct set
/// of workers when a class is new, and for every class when a worker comes or goes.
pub(crate) struct Classes {
    /// By number; `None` where there is no class. The first is [`ClassId::ANY`].
    classes: Vec<Option<Class>>,
    /// The distinct sets that live workers have, with how many workers have each, 1 or more.
    workers: Vec<(Capabilities, u32)>,
}

struct Class {
    needs: Capabilities,
    /// Who acquired it and did not release it yet; not counted for [`ClassId::ANY`].
    users: u64,
    /// Live workers that can run it.
    capable: u32,
}

impl Classes {
    /// The class of what needs nothing, and no worker.
    pub(crate) fn new() -> Self {
        let any = Class { needs: Capabilities::default(), users: 0, capable: 0 };
        Classes { classes: vec![Some(any)], workers: Vec::new() }
    }

    /// Adds a user to the class of `needs`, which is new if nobody else needs the same.
    ///
    /// # Errors
    /// [`TooManyClasses`] when it would be new and all 64 are taken; nothing has changed then.
    pub(crate) fn acquire(&mut self, needs: &Capabilities) -> Result<ClassId, TooManyClasses> {
        let is_it = |class: &Option<Class>| class.as_ref().is_some_and(|c| c.needs == *needs);
        let known = self.classes.iter().position(is_it);
        let index = match known {
            Some(index) => index,
            None => self.begin(needs)?,
        };
        let id = ClassId(index as u8);
        if id != ClassId::ANY {
            self.class_mut(id).users += 1;
        }
        Ok(id)
    }

    /// Takes a user from a class. The class is gone with its last one, and so is the meaning of its
    /// number.
    ///
    /// # Panics
    /// When the class has no user.
    pub(crate) fn release(&mut self, id: ClassId) {
        if id == ClassId::ANY {
            return;
        }
        let class = self.class_mut(id);
        class.users -= 1;
        if class.users == 0 {
            self.classes[id.index()] = None;
        }
    }

    /// Adds a live worker.
    pub(crate) fn join(&mut self, worker: &Capabilities) {
        match self.workers.iter_mut().find(|(has, _)| has == worker) {
            Some((_, count)) => *count += 1,
            None => self.workers.push((worker.clone(), 1)),
        }
        self.runnable_by(worker).for_each(|class| class.capable += 1);
    }

    /// Takes away a worker that joined with the same capabilities.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn leave(&mut self, worker: &Capabilities) {
        let group = self.workers.iter().position(|(has, _)| has == worker);
        let group = group.expect("a worker that leaves has joined");
        self.workers[group].1 -= 1;
        if self.workers[group].1 == 0 {
            self.workers.swap_remove(group);
        }
        self.runnable_by(worker).for_each(|class| class.capable -= 1);
    }

    /// The classes that a worker can run, a bit each. It holds until a class begins or ends.
    pub(crate) fn matching(&self, worker: &Capabilities) -> u64 {
        self.word_of(|class| class.needs.is_subset_of(worker))
    }

    /// The classes that are alive, a bit each.
    pub(crate) fn alive(&self) -> u64 {
        self.word_of(|_| true)
    }

    /// The classes that no live worker can run, a bit each.
    pub(crate) fn without_worker(&self) -> u64 {
        self.word_of(|class| class.capable == 0)
    }

    /// How many live workers can run a class that is alive.
    #[cfg(test)]
    pub(crate) fn capable(&self, id: ClassId) -> u32 {
        self.class(id).capable
    }

    /// What a class that is alive needs.
    #[cfg(test)]
    pub(crate) fn needs(&self, id: ClassId) -> &Capabilities {
        &self.class(id).needs
    }

    /// Gives a new class the lowest free number.
    fn begin(&mut self, needs: &Capabilities) -> Result<usize, TooManyClasses> {
        let free = self.classes.iter().position(Option::is_none).unwrap_or(self.classes.len());
        if free == CLASSES_MAX {
            return Err(TooManyClasses);
        }
        if free == self.classes.len() {
            self.classes.push(None);
        }
        let able = self.workers.iter().filter(|(has, _)| needs.is_subset_of(has));
        let capable = able.map(|(_, count)| count).sum();
        self.classes[free] = Some(Class { needs: needs.clone(), users: 0, capable });
        Ok(free)
    }

    fn word_of(&self, chosen: impl Fn(&Class) -> bool) -> u64 {
        let classes = self.classes.iter().zip(0..);
        let chosen = classes.filter(|(class, _)| class.as_ref().is_some_and(&chosen));
        chosen.fold(0, |word, (_, index)| word | ClassId(index).bit())
    }

    fn runnable_by(&mut self, worker: &Capabilities) -> impl Iterator<Item = &mut Class> {
        self.classes.iter_mut().flatten().filter(|class| class.needs.is_subset_of(worker))
    }

    #[cfg(test)]
    fn class(&self, id: ClassId) -> &Class {
        self.classes[id.index()].as_ref().expect("a class with a user is alive")
    }

    fn class_mut(&mut self, id: ClassId) -> &mut Class {
        self.classes[id.index()].as_mut().expect("a class with a user is alive")
    }
}
