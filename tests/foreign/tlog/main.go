// Verifies a checkpoint, an inclusion proof and a consistency proof of an audit log with the
// library of Go's checksum database, which shares no code with ours.
//
//	main checkpoint VKEY FILE
//	main inclusion VKEY FILE
//	main growth VKEY OLD-CHECKPOINT FILE
//
// It prints what was proved and exits with 0, or says why not and exits with 1.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// state is what a checkpoint says of a log.
type state struct {
	size int64
	root tlog.Hash
}

func hash(line string) (tlog.Hash, error) {
	var found tlog.Hash
	data, err := base64.StdEncoding.DecodeString(line)
	if err == nil && len(data) != len(found) {
		err = fmt.Errorf("a hash of %d bytes", len(data))
	}
	copy(found[:], data)
	return found, err
}

func hashes(lines []string) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, line := range lines {
		one, err := hash(line)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// checkpoint opens a signed note whose name is that of the key.
func checkpoint(vkey, text string) (state, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return state{}, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return state{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return state{}, fmt.Errorf("not three lines of the log %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return state{}, err
	}
	root, err := hash(lines[2])
	return state{size, root}, err
}

// split takes the lines before the empty one, and what follows it.
func split(text string) ([]string, string, error) {
	head, rest, found := strings.Cut(text, "\n\n")
	if !found {
		return nil, "", fmt.Errorf("no empty line")
	}
	return strings.Split(head, "\n"), rest, nil
}

func after(line, start string) (string, error) {
	if !strings.HasPrefix(line, start) {
		return "", fmt.Errorf("%q does not start with %q", line, start)
	}
	return line[len(start):], nil
}

// inclusion checks a C2SP tlog-proof.
func inclusion(vkey, text string) (string, error) {
	lines, signed, err := split(text)
	if err != nil {
		return "", err
	}
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return "", fmt.Errorf("not a tlog-proof")
	}
	log, err := checkpoint(vkey, signed)
	if err != nil {
		return "", err
	}
	extra, err := after(lines[1], "extra ")
	if err != nil {
		return "", err
	}
	entry, err := base64.StdEncoding.DecodeString(extra)
	if err != nil {
		return "", err
	}
	number, err := after(lines[2], "index ")
	if err != nil {
		return "", err
	}
	index, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return "", err
	}
	path, err := hashes(lines[3:])
	if err != nil {
		return "", err
	}
	err = tlog.CheckRecord(path, log.size, log.root, index, tlog.RecordHash(entry))
	return fmt.Sprintf("entry %d of %d", index, log.size), err
}

// growth checks what a C2SP tlog-witness is sent.
func growth(vkey, earlier, text string) (string, error) {
	lines, signed, err := split(text)
	if err != nil {
		return "", err
	}
	old, err := checkpoint(vkey, earlier)
	if err != nil {
		return "", err
	}
	log, err := checkpoint(vkey, signed)
	if err != nil {
		return "", err
	}
	size, err := after(lines[0], "old ")
	if err != nil {
		return "", err
	}
	if size != strconv.FormatInt(old.size, 10) {
		return "", fmt.Errorf("proof since %s entries, the checkpoint has %d", size, old.size)
	}
	proof, err := hashes(lines[1:])
	if err != nil {
		return "", err
	}
	err = tlog.CheckTree(proof, log.size, log.root, old.size, old.root)
	return fmt.Sprintf("%d entries begin the %d", old.size, log.size), err
}

func run(arguments []string) (string, error) {
	var texts []string
	for _, path := range arguments[2:] {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		texts = append(texts, string(data))
	}
	vkey := arguments[1]
	switch {
	case arguments[0] == "checkpoint" && len(texts) == 1:
		log, err := checkpoint(vkey, texts[0])
		return fmt.Sprintf("%d entries", log.size), err
	case arguments[0] == "inclusion" && len(texts) == 1:
		return inclusion(vkey, texts[0])
	case arguments[0] == "growth" && len(texts) == 2:
		return growth(vkey, texts[0], texts[1])
	}
	return "", fmt.Errorf("no such check")
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: main checkpoint|inclusion|growth VKEY FILE...")
		os.Exit(2)
	}
	told, err := run(os.Args[1:])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(told)
}
