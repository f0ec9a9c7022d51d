//! The sample journal, from tables through the package to balances.

use super::packed;

#[test]
fn the_sample_journal_becomes_balances() {
    let bench = packed("transfer", &[("journal-sample", "journal"), ("opening-sample", "opening")]);
    let args = ["convert", "ledger", "journal.csv", "--opening", "opening.csv"];
    let args = [&args[..], &["-o", "transfer.input"]].concat();
    assert_eq!(bench.json(&args)[0]["records"], "9");
    let outputs = ["wasmi", "jit"].map(|engine| {
        let run = ["run", "transfer.mod", "--input", "transfer.input", "--engine", engine];
        bench.ok(&[&run[..], &["--output", "transfer.output"]].concat());
        bench.read("transfer.output")
    });
    assert_eq!(outputs[0], outputs[1]);
    let balances = bench.ok(&["convert", "balances", "transfer.output"]);
    let expect = "place,account,nonce,asset,balance\n\
        1,ada,2,bread,12\n2,ada,2,coin,944\n3,bela,1,coin,346\n\
        4,chidi,4,coin,9007199254740900\n5,dora,1,,\n";
    assert_eq!(balances.text(), expect);
    let counts = "3 applied, 1 repeated, 1 unbalanced, 1 unauthorised, 1 wrong nonce, \
        1 insufficient, 1 overflow";
    assert!(balances.stderr.contains(counts), "{}", balances.stderr);
    bench.write("no.cbor", "text");
    let args = ["convert", "balances", "no.cbor", "-o", "out"];
    bench.fails(&args, 20, "E002_TRUNCATED", "not an output of the transfer package");
}
