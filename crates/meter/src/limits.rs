//! Sizes that a module may have.

/// Limits on a module, checked before anything of that size is allocated.
///
/// # Spec
/// `spec/profile.md`, section "Limits".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the module.
    pub module_bytes: u64,
    /// Defined functions.
    pub functions: u32,
    /// Declared locals of one function, parameters not counted.
    pub locals: u32,
    /// Declared locals of all functions together.
    pub locals_total: u32,
    /// Pages of linear memory, initial and declared maximum, 64 KiB each.
    pub pages: u32,
    /// Entries of the table.
    pub table_entries: u32,
    /// Globals.
    pub globals: u32,
    /// Frame weight of one function in slots.
    pub frame_weight: u32,
    /// Open blocks within one function.
    pub nesting: u32,
    /// Targets of one branch table, the default one not counted.
    pub branch_targets: u32,
}

impl Default for Limits {
    /// Returns the limits that packages are held to.
    fn default() -> Self {
        Self {
            module_bytes: 1 << 22,
            functions: 20_000,
            locals: 10_000,
            // Chosen: a compiler takes about 0.2 us for each local, and a few bytes declare 10,000.
            locals_total: 1_000_000,
            pages: 1_024,
            table_entries: 65_536,
            globals: 4_096,
            // Chosen: the interpreter has 65,535 cells for a frame and metering takes a few.
            frame_weight: 65_000,
            nesting: 1_024,
            // Chosen: the JIT refuses more than 65,520.
            branch_targets: 32_768,
        }
    }
}

impl Limits {
    /// Returns every limit as (name, value, unit), for printing.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64, &'static str); 10] {
        [
            ("module", self.module_bytes, "bytes"),
            ("functions", u64::from(self.functions), "functions"),
            ("locals of one function", u64::from(self.locals), "locals"),
            ("locals of a module", u64::from(self.locals_total), "locals"),
            ("memory", u64::from(self.pages), "pages"),
            ("table", u64::from(self.table_entries), "entries"),
            ("globals", u64::from(self.globals), "globals"),
            ("frame weight", u64::from(self.frame_weight), "slots"),
            ("nesting", u64::from(self.nesting), "blocks"),
            ("branch table", u64::from(self.branch_targets), "targets"),
        ]
    }
}
