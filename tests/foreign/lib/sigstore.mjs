// Verifies a Sigstore bundle with @sigstore/verify and one key, and prints the payload.
//
// Arguments: the directory with node_modules, the bundle, the key in PEM, and its hint.

import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, file, pem, hint] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity } = require("@sigstore/verify");

const key = createPublicKey(readFileSync(pem));
const root = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const find = (wanted) => {
  if (wanted !== hint) throw new Error(`no key has the hint ${wanted}`);
  return { publicKey: key, validFor: () => true };
};
const trust = { ...root, publicKey: find };
// No log and no time stamp is asked for: the bundle has a bare key.
const options = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
const bundle = bundleFromJSON(JSON.parse(readFileSync(file, "utf8")));
new Verifier(trust, options).verify(toSignedEntity(bundle));
process.stdout.write(bundle.content.dsseEnvelope.payload);
