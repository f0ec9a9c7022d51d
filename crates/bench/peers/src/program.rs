//! The programs, each a function of one number, and their forms for other hosts.

/// One program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    text: &'static str,
    /// Whether it computes with floats.
    pub(crate) floats: bool,
    /// What keeps an interpreter busy for some milliseconds.
    pub(crate) interpreted: i32,
    /// What keeps compiled code busy for as long.
    pub(crate) compiled: i32,
}

impl Program {
    /// Returns the module, which exports `bench`.
    pub(crate) fn module(&self) -> Result<Vec<u8>, String> {
        self.parse(self.text)
    }

    /// Returns the module with imports in front and functions behind, which name `$bench`.
    pub(crate) fn wrapped(&self, imports: &str, functions: &str) -> Result<Vec<u8>, String> {
        let named =
            self.text.replacen("(func (export \"bench\")", "(func $bench (export \"bench\")", 1);
        let opened = named.replacen("(module", &format!("(module {imports}"), 1);
        let body = opened.trim_end().strip_suffix(')').ok_or("a module ends in a parenthesis")?;
        self.parse(&format!("{body} {functions})"))
    }

    fn parse(&self, text: &str) -> Result<Vec<u8>, String> {
        wat::parse_str(text).map_err(|error| format!("{}: {error}", self.name))
    }
}

/// Returns every program.
pub(crate) fn all() -> Vec<Program> {
    let program = |name, text, interpreted, compiled| Program {
        name,
        text,
        floats: name == "nbody",
        interpreted,
        compiled,
    };
    vec![
        program("fib", include_str!("../../programs/fib.wat"), 22, 29),
        program("sha256", include_str!("../../programs/sha256.wat"), 600, 5_000),
        program("sieve", include_str!("../../programs/sieve.wat"), 100_000, 500_000),
        program("matrix", include_str!("../../programs/matrix.wat"), 40, 80),
        program("nbody", include_str!("../../programs/nbody.wat"), 2_000, 8_000),
    ]
}
