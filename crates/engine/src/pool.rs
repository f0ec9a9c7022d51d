//! Instances that are used again: set up once, put back into their first state after each run.

use alloc::boxed::Box;
use alloc::vec::Vec;

use kapsule_format::Digest;
use kapsule_format::transcript::{State, StateHash};
use kapsule_format::tree::{self, CHUNK_BYTES};

use crate::backend::{Facts, GlobalValue, Instance, place};
use crate::host::Host;
use crate::hostcall::{Answers, Dispatcher};
use crate::run::{self, Job, KnownState, NothingKnown, Run};
use crate::{Compiled, HostError, RunError};

/// Bytes of memory that are compared and put back as a whole.
///
/// Chosen: a page of the usual machines, so that putting back touches no more than the guest did.
const BLOCK_BYTES: usize = 4_096;

/// A block that was never written.
const ZERO_BLOCK: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Blocks of one chunk of the memory root.
const BLOCKS_PER_CHUNK: usize = CHUNK_BYTES / BLOCK_BYTES;

/// Instances of one module, ready to run.
///
/// A run through a pool is the same as [`run`](crate::run) and skips setting an instance up.
/// Between runs an instance costs its memory as far as a guest touched it, and a few kilobytes.
///
/// # Examples
/// ```
/// # use kapsule_engine::{Backend, Job, JobOptions, MemoryHost, Pool, compile};
/// # use kapsule_format::{Digest, package::CoreHash, package::PackageId, policy::Policy};
/// # use kapsule_meter::{Options, Profile, meter};
/// # let wasm = wat::parse_str(
/// #     r#"(module
/// #         (memory (export "memory") 1)
/// #         (func (export "kapsule_abi_version") (result i32) (i32.const 1))
/// #         (func (export "run") (result i32)
/// #             (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
/// #             (i32.load (i32.const 8))))"#,
/// # )?;
/// # let policy = Policy::default();
/// # let job = Job {
/// #     capsule_hash: PackageId::new(Digest::new([0; 32])),
/// #     core_hash: CoreHash::new(Digest::new([0; 32])),
/// #     profile: Profile::Integer1,
/// #     entry: "run",
/// #     input: b"",
/// #     policy: &policy,
/// #     fuel: 1_000,
/// #     memory_bytes: 65_536,
/// #     seed: [0; 32],
/// #     deadline: None,
/// #     compose: None,
/// #     options: JobOptions::default(),
/// # };
/// let compiled = compile(&meter(&wasm, &Options::new(Profile::Integer1))?, Backend::Wasmi)?;
/// let mut pool = Pool::new(compiled, 1);
/// let first = pool.run(&job, &mut MemoryHost::default())?;
/// let second = pool.run(&job, &mut MemoryHost::default())?;
/// assert_eq!(first, second);
/// assert_eq!(pool.idle(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool {
    compiled: Compiled,
    /// First state of an instance, known once there was one.
    image: Option<Image>,
    idle: Vec<Box<dyn Instance>>,
    idle_max: usize,
}

impl Pool {
    /// Makes an empty pool that keeps at most `idle_max` instances between runs.
    #[must_use]
    pub const fn new(compiled: Compiled, idle_max: usize) -> Self {
        Self { compiled, image: None, idle: Vec::new(), idle_max }
    }

    /// Returns the module that the pool runs.
    #[must_use]
    pub const fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// Returns how many instances are ready.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Sets instances up until as many are ready as the pool keeps.
    ///
    /// # Errors
    /// [`HostError`] if the backend cannot set one up.
    pub fn fill(&mut self) -> Result<(), HostError> {
        while self.idle.len() < self.idle_max {
            let instance = self.fresh()?;
            self.idle.push(instance);
        }
        Ok(())
    }

    /// Runs a job as [`run`](crate::run) does.
    ///
    /// # Errors
    /// As [`run`](crate::run).
    ///
    /// # Determinism
    /// As [`run`](crate::run); nothing of a run is left for the next one.
    pub fn run(&mut self, job: &Job<'_>, host: &mut dyn Host) -> Result<Run, RunError> {
        run::check(&self.compiled.facts, job)?;
        let setting = job.setting(self.compiled.backend(), Some(job.input));
        let dispatcher = Dispatcher::new(setting, Answers::Live(host));
        dispatcher.deadline().check()?;
        let mut instance = match self.idle.pop() {
            Some(instance) => instance,
            None => self.fresh()?,
        };
        let image = self.image.get_or_insert_default();
        let mut known = Known { image, changed: None };
        let compiled = &self.compiled;
        let ended = run::execute_on(instance.as_mut(), compiled, job, dispatcher, &mut known)?;
        let changed = known.changed;
        // A guest that the host failed is not used again; one that ended in any other way is.
        if self.idle.len() < self.idle_max && image.restore(instance.as_mut(), changed)? {
            self.idle.push(instance);
        }
        Ok(ended.into_run(job))
    }

    fn fresh(&mut self) -> Result<Box<dyn Instance>, HostError> {
        let mut instance = self.compiled.instantiate()?;
        if self.image.is_none() {
            self.image = Some(Image::of(instance.as_mut(), &self.compiled.facts)?);
        }
        Ok(instance)
    }
}

/// First state of an instance: what is not kept per instance is what no guest can change, which
/// is everything but memory and mutable globals (`spec/profile.md` has no table writes and no
/// dropped segments).
#[derive(Default)]
struct Image {
    /// Memory up to its last block that is not zero.
    bytes: Vec<u8>,
    memory_bytes: usize,
    /// Leaf hash of each chunk of the memory.
    leaves: Vec<Digest>,
    memory_root: Option<Digest>,
    /// The module's own mutable globals.
    globals: Vec<GlobalValue>,
    globals_hash: Option<Digest>,
    /// The state that was hashed last: many runs leave the one that they found.
    last: Option<(State, StateHash)>,
}

/// What a run on a pooled instance need not hash again.
struct Known<'i> {
    image: &'i mut Image,
    /// Blocks of the memory that changed, once they were looked for.
    changed: Option<Vec<usize>>,
}

impl KnownState for Known<'_> {
    fn memory_root(&mut self, memory: &[u8]) -> Digest {
        let changed = self.changed.insert(self.image.changed(memory));
        self.image.root(memory, changed)
    }

    fn globals_hash(&mut self, globals: &[GlobalValue]) -> Digest {
        match self.image.globals_hash {
            Some(hash) if globals == self.image.globals => hash,
            _ => NothingKnown.globals_hash(globals),
        }
    }

    fn state_hash(&mut self, state: &State) -> StateHash {
        match &self.image.last {
            Some((last, hash)) if last == state => *hash,
            _ => self.image.last.insert((*state, state.hash())).1,
        }
    }
}

impl Image {
    fn of(instance: &mut dyn Instance, facts: &Facts) -> Result<Self, HostError> {
        let globals = run::own_globals(instance, facts)?;
        let memory = instance.memory();
        let used = memory.chunks(BLOCK_BYTES).rposition(|block| *block != ZERO_BLOCK);
        let used = used.map_or(0, |last| (last + 1) * BLOCK_BYTES);
        let leaves: Vec<Digest> = memory.chunks(CHUNK_BYTES).map(tree::chunk_leaf).collect();
        Ok(Self {
            bytes: memory.get(..used).unwrap_or_default().to_vec(),
            memory_bytes: memory.len(),
            memory_root: Some(tree::root_of_hashes(&leaves)),
            leaves,
            globals_hash: Some(NothingKnown.globals_hash(&globals)),
            globals,
            last: None,
        })
    }

    /// Returns what a block held at first.
    fn block(&self, index: usize) -> &[u8] {
        let start = index * BLOCK_BYTES;
        self.bytes.get(start..start + BLOCK_BYTES).unwrap_or(&ZERO_BLOCK)
    }

    /// Returns the indices of the blocks of a memory that are not as they were at first, also of
    /// those that it grew by.
    fn changed(&self, memory: &[u8]) -> Vec<usize> {
        let blocks = memory.chunks_exact(BLOCK_BYTES).enumerate();
        blocks
            .filter(|(index, block)| *block != self.block(*index))
            .map(|(index, _)| index)
            .collect()
    }

    /// Returns the memory root, for which only chunks with a changed block are hashed.
    fn root(&self, memory: &[u8], changed: &[usize]) -> Digest {
        if let (true, true, Some(root)) =
            (changed.is_empty(), memory.len() == self.memory_bytes, self.memory_root)
        {
            return root;
        }
        let mut changed = changed.iter().map(|block| block / BLOCKS_PER_CHUNK).peekable();
        let leaves = memory.chunks(CHUNK_BYTES).enumerate().map(|(index, chunk)| {
            let mut dirty = false;
            while changed.next_if_eq(&index).is_some() {
                dirty = true;
            }
            match self.leaves.get(index).filter(|_| !dirty) {
                Some(leaf) => *leaf,
                None => tree::chunk_leaf(chunk),
            }
        });
        tree::root_of_hashes(&leaves.collect::<Vec<Digest>>())
    }

    /// Puts memory and globals back, and tells whether that was possible: memory that grew cannot
    /// shrink again.
    fn restore(
        &self,
        instance: &mut dyn Instance,
        changed: Option<Vec<usize>>,
    ) -> Result<bool, HostError> {
        let memory = instance.memory();
        if memory.len() != self.memory_bytes {
            return Ok(false);
        }
        for index in changed.unwrap_or_else(|| self.changed(memory)) {
            let start = index * BLOCK_BYTES;
            if let Some(block) = memory.get_mut(start..start + BLOCK_BYTES) {
                block.copy_from_slice(self.block(index));
            }
        }
        for (place, value) in (place::OWN..).zip(&self.globals) {
            if instance.global(place)? != *value {
                instance.set_global(place, *value)?;
            }
        }
        Ok(true)
    }
}
