/** What a portal's log says of a change of transport, of nobody answering, and of a refusal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SocketError } from "../../src/native/native.ts";
import {
  type Attempt,
  refusedText,
  switchText,
  unansweredLines,
} from "../../src/portal/watcher.ts";

test("a change of transport is one line, with the cause where there was another before", () => {
  const first = { from: null, to: "udp", cause: "attached" } as const;
  const later = { from: "raw", to: "udp", cause: "large packets lost" } as const;
  assert.equal(switchText("link dsl", first), "link dsl sends by udp");
  assert.equal(
    switchText("home: link 0", later),
    "home: link 0 sends by udp instead of raw: large packets lost",
  );
});

const tried = (change: Partial<Attempt> = {}): Attempt => ({
  ...{ name: "dsl", transport: "raw", remote: "203.0.113.7", sent: 4 },
  ...change,
});

const failed = (code: string, icmp: SocketError["icmp"] = null) =>
  ({ code, icmp }) as unknown as SocketError;

const unanswered: [name: string, attempts: Attempt[], said: RegExp[], unsaid: RegExp[]][] = [
  [
    "a link that nobody answers is told with what was sent, and what may be in the way",
    [tried()],
    [
      /dsl: raw to 203\.0\.113\.7: 4 sent, none answered$/m,
      /key or client_id differ/,
      /IP protocol 253 is blocked/,
    ],
    [/UDP/, /firewall on this machine/],
  ],
  [
    "by transport: of auto all are named, with the command that tells them apart",
    [tried({ transport: "auto" })],
    [/IP protocol 253, UDP and TCP port 5253 are all blocked: see mpfwd probe/],
    [/try transport/],
  ],
  [
    "who refuses it is named, and then no key is blamed",
    [
      tried({
        error: failed("ECONNREFUSED", {
          type: 3,
          code: 3,
          from: "192.0.2.1",
        } as SocketError["icmp"]),
      }),
    ],
    [
      /192\.0\.2\.1 answers ICMP type 3 code 3 \(ECONNREFUSED\)/,
      /no Remote Portal is running there/,
    ],
    [/key or client_id/],
  ],
  [
    "this machine's own firewall is named",
    [tried({ transport: "udp", error: failed("EPERM") })],
    [/the kernel says EPERM/, /a firewall on this machine does not let it out/],
    [],
  ],
  [
    "where no socket is open nothing else is guessed",
    [tried({ failure: "there is no device eth1" })],
    [/dsl: raw to 203\.0\.113\.7: there is no device eth1$/m, /no link could be opened/],
    [/blocked|differ/],
  ],
];
for (const [name, attempts, said, unsaid] of unanswered) {
  test(name, () => {
    const text = unansweredLines(3_000_000, attempts, 5253, 253).join("\n");
    assert.match(text, /^no answer from the Remote Portal for 3 s; tried:$/m);
    for (const one of said) assert.match(text, one);
    for (const one of unsaid) assert.doesNotMatch(text, one);
  });
}

const refusals = [
  ["encrypt", /say the same here/],
  ["tag", /tag_octets of at least 12/],
  ["transport", /does not accept the transport/],
  ["purpose", /only answers probes/],
] as const;
for (const [reason, said] of refusals) {
  test(`a refusal for ${reason} says what to change`, () => {
    assert.match(refusedText({ tag: "refused", reason, suite: 1, dataTag: 12 }), said);
  });
}
