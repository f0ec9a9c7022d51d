//! What the system says of the machine that it runs on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use kapsule_format::receipt::{Cpu, Gpu, HostManifest, SELF_REPORTED};

/// What stands where the system says nothing.
const UNKNOWN: &str = "unknown";
/// Base class of a display controller on the PCI bus.
const DISPLAY_CLASS: &str = "0x03";

/// Describes this machine, as the files of `/proc`, `/sys` and `/etc` do.
///
/// What they do not say is 0, empty or `unknown`; nothing is asked of any other program.
pub(crate) fn host() -> HostManifest {
    let cpuinfo = read("/proc/cpuinfo");
    let meminfo = read("/proc/meminfo");
    let memory = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = memory.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    let kernel = [read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease")];
    let kernel: Vec<&str> = kernel.iter().map(|text| text.trim()).collect();
    let release = read("/etc/os-release");
    let os = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let flags = field(&cpuinfo, "flags").unwrap_or_default();
    HostManifest {
        cpu: cpu(&cpuinfo, &flags),
        gpus: gpus(Path::new("/sys/bus/pci/devices")),
        kernel: plain(&kernel.join(" ")),
        landlock_abi: landlock_abi(),
        memory_bytes: kib.unwrap_or_default().saturating_mul(1_024),
        os: plain(os.unwrap_or_default().trim_matches('"')),
        source: SELF_REPORTED.to_owned(),
        virtual_machine: flags.split(' ').any(|flag| flag == "hypervisor"),
        extensions: BTreeMap::new(),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Returns 1 to 256 bytes without control characters.
fn plain(text: &str) -> String {
    let mut text: String = text.chars().filter(|character| !character.is_control()).collect();
    while text.len() > 256 {
        text.pop();
    }
    let text = text.trim();
    if text.is_empty() { UNKNOWN.to_owned() } else { text.to_owned() }
}

/// Returns the first value of a field of `/proc/cpuinfo`.
fn field(cpuinfo: &str, name: &str) -> Option<String> {
    cpuinfo.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

fn cpu(cpuinfo: &str, flags: &str) -> Cpu {
    let is_feature = |flag: &&str| {
        let first = flag.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        first && flag.len() <= 64 && flag.bytes().all(rest)
    };
    let features: BTreeSet<String> =
        flags.split(' ').filter(is_feature).map(str::to_owned).collect();
    let threads = cpuinfo.lines().filter(|line| line.starts_with("processor")).count() as u64;
    // A core is named by its package and its number; a file without them counts threads.
    let mut cores: BTreeSet<(String, String)> = BTreeSet::new();
    for block in cpuinfo.split("\n\n") {
        cores.extend(field(block, "physical id").zip(field(block, "core id")));
    }
    let threads = threads.max(std::thread::available_parallelism().map_or(1, |n| n.get() as u64));
    Cpu {
        cores: if cores.is_empty() { threads } else { cores.len() as u64 },
        features: features.into_iter().collect(),
        model: plain(&field(cpuinfo, "model name").unwrap_or_default()),
        threads,
        extensions: BTreeMap::new(),
    }
}

/// Lists the display controllers of the PCI bus, in order of their addresses.
fn gpus(bus: &Path) -> Vec<Gpu> {
    let entries = fs::read_dir(bus).into_iter().flatten().flatten();
    let mut devices: Vec<_> = entries.map(|entry| entry.path()).collect();
    devices.sort();
    let of = |device: &Path, name: &str| {
        fs::read_to_string(device.join(name)).unwrap_or_default().trim().to_owned()
    };
    let is_display = |device: &&std::path::PathBuf| of(device, "class").starts_with(DISPLAY_CLASS);
    let gpu = |device: &std::path::PathBuf| {
        let driver = fs::read_link(device.join("driver")).unwrap_or_default();
        let driver = driver.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = format!("pci {}:{}", of(device, "vendor"), of(device, "device"));
        let memory = of(device, "mem_info_vram_total").parse().unwrap_or_default();
        Gpu {
            driver: plain(&driver),
            memory_bytes: memory,
            name: plain(&name),
            extensions: BTreeMap::new(),
        }
    };
    devices.iter().filter(is_display).map(gpu).collect()
}

/// Returns 1 where the kernel has Landlock among its modules, else 0: which ABI it has says a
/// system call alone, and this command makes none of its own.
fn landlock_abi() -> u64 {
    let modules = read("/sys/kernel/security/lsm");
    u64::from(modules.trim().split(',').any(|name| name == "landlock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str = "processor\t: 0\nphysical id\t: 0\ncore id\t\t: 0\nmodel name\t: A B\n\
        flags\t\t: sse4_2 avx2 hypervisor 3dnow\n\nprocessor\t: 1\nphysical id\t: 0\n\
        core id\t\t: 0\n\n";

    #[test]
    fn a_processor_is_read_as_the_kernel_writes_it() {
        let flags = field(CPUINFO, "flags").unwrap();
        let cpu = cpu(CPUINFO, &flags);
        assert_eq!((cpu.cores, cpu.model.as_str()), (1, "A B"));
        assert!(cpu.threads >= 2);
        assert_eq!(cpu.features, ["avx2", "hypervisor", "sse4_2"]);
    }

    #[test]
    fn texts_are_plain_and_bounded() {
        assert_eq!(plain(" \u{7} "), UNKNOWN);
        assert_eq!(plain(&"\u{e4}".repeat(200)).len(), 256);
    }

    #[test]
    fn what_this_machine_says_is_a_manifest() {
        let bytes = host().encode();
        assert_eq!(HostManifest::decode(&bytes).unwrap().encode(), bytes);
    }

    #[test]
    fn display_controllers_are_found_by_their_class() {
        let bus = tempfile::tempdir().unwrap();
        for (name, class) in [("1", "0x030000"), ("0", "0x020000")] {
            let device = bus.path().join(name);
            fs::create_dir(&device).unwrap();
            fs::write(device.join("class"), class).unwrap();
            fs::write(device.join("vendor"), "0x10de\n").unwrap();
            fs::write(device.join("device"), "0x2204\n").unwrap();
        }
        let found = gpus(bus.path());
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].driver.as_str()),
            ("pci 0x10de:0x2204", UNKNOWN)
        );
    }
}
