import assert from "../assert.ts";
import { isAddress, isPublic, isWithin, parseRange } from "../../src/net/address_ranges.ts";

const words = (text: string) => text.trim().split(/\s+/);

Deno.test("an address has many spellings", () => {
  const spellings: Record<string, readonly string[]> = {
    "1.2.3.4": ["1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "0:0:0:0:0:FFFF:0102:0304"],
    "::": ["::", "0:0:0:0:0:0:0:0"],
    "::1": ["::1", "0:0:0:0:0:0:0:1", "::0001"],
    "1::": ["1::", "0001:0::"],
    "fe80::1": ["fe80::1", "fe80::1%eth0", "FE80:0::1"],
    "1:2:3:4:5:6:7:8": ["1:2:3:4:5:6:7:8", "0001:2:3:4:5:6:0007:8"],
    "1:2::7:8": ["1:2::7:8", "1:2:0:0:0:0:7:8"],
  };
  for (const [range, addresses] of Object.entries(spellings)) {
    for (const address of addresses) {
      assert.ok(isAddress(address), address);
      for (const other of Object.keys(spellings)) {
        assert.equal(isWithin(address, parseRange(other)!), other === range, `${address} ${other}`);
      }
    }
  }
});

Deno.test("what is no address is none", () => {
  for (
    const text of [
      "",
      "localhost",
      "1.2.3",
      "1.2.3.4.5",
      "256.1.1.1",
      "0x7f.0.0.1",
      ":",
      "1::2::3",
      "[::1]",
      "::g",
    ]
  ) {
    assert.equal(isAddress(text), false, text);
  }
});

Deno.test("ranges hold what begins with the same bits", () => {
  const cases: [string, string, boolean][] = [
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["10.1.2.3/8", "10.200.0.0", true],
    ["10.0.0.1", "10.0.0.1", true],
    ["10.0.0.1", "10.0.0.2", false],
    ["0.0.0.0/0", "200.1.1.1", true],
    ["0.0.0.0/0", "::1", false],
    ["fd00::/8", "fdff::1", true],
    ["fd00::/8", "fc00::1", false],
    ["::/0", "1.2.3.4", true],
    ["192.168.1.128/25", "192.168.1.127", false],
    ["192.168.1.128/25", "192.168.1.200", true],
  ];
  for (const [range, address, expected] of cases) {
    assert.equal(
      isWithin(address, parseRange(range)!),
      expected,
      `${address} in ${range}`,
    );
  }
});

Deno.test("what is no range is none", () => {
  for (
    const text of [
      "",
      "/8",
      "10.0.0.0/",
      "10.0.0.0/33",
      "::/129",
      "10.0.0.0/8/8",
      "10.0.0.0/-1",
      "10.0.0.0/8.0",
      "a/8",
    ]
  ) {
    assert.equal(parseRange(text), null, text);
  }
});

Deno.test("only addresses that anybody can reach are public", () => {
  const open = words(`
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255
    128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255
    192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 168.63.129.15 2606:4700::1111
    2a00:1450::1 2001:4860:4860::8888 2003::1 2400::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
  `);
  const closed = words(`
    0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255
    127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2
    172.16.0.0 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255
    198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255 :: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:127.0.0.1
    ::ffff:7f00:1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1
    64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::8.8.8.8 100::1 1fff::1 2001::1
    2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3fff::1
    4000::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456::1 fe80::1 fe80::1%eth0 febf::1 fec0::1
    ff02::1 ffff::
  `);
  for (const address of open) assert.equal(isPublic(address), true, address);
  for (const address of closed) assert.equal(isPublic(address), false, address);
});
