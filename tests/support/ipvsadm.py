"""The IPVS table as `ipvsadm` sees it: an oracle that shares no code with the driver."""

import ipaddress
import subprocess
from collections.abc import Iterator

from kernelbal.model.address import Address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    ServiceTable,
    VirtualServer,
)

PROTOCOLS = {"-t": 6, "-u": 17, "--sctp-service": 132, "-f": 0}
FORWARDINGS = {"-m": 0, "-i": 2, "-g": 3}
TUNNELS = {"ipip": 0, "gue": 1, "gre": 2}
TUNNEL_FLAGS = {"--tun-nocsum": 0, "--tun-csum": 1, "--tun-remcsum": 2}
SCHEDULER_FLAGS = {
    "sh-fallback": 8,
    "sh-port": 16,
    "mh-fallback": 8,
    "mh-port": 16,
    "flag-1": 8,
    "flag-2": 16,
    "flag-3": 32,
}


def run(*arguments: str, text: str | None = None) -> str:
    """Runs ipvsadm and returns what it printed."""
    return subprocess.run(
        ["ipvsadm", *arguments], check=True, capture_output=True, text=True, input=text
    ).stdout


def table() -> ServiceTable:
    """The whole table of the caller's network namespace, from `ipvsadm -Sn` and `-Ln --thresholds`."""
    found: ServiceTable = {}
    thresholds = _thresholds()
    for line in run("-Sn").splitlines():
        words = line.split()
        options = dict(_options(words[1:]))
        key = _service_key(options)
        if words[0] == "-A":
            found[key] = VirtualServer(_service(key, options))
        else:
            destination = _endpoint(options["-r"])
            limits = thresholds[key, destination]
            found[key].destinations[destination] = _destination(options)._replace(
                upper_threshold=limits[0], lower_threshold=limits[1]
            )
    return found


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    for position, word in enumerate(words):
        if word.startswith("-"):
            following = words[position + 1 : position + 2]
            yield word, "" if not following or following[0].startswith("-") else following[0]


def _endpoint(text: str) -> DestinationKey:
    address, _, port = text.rpartition(":")
    return DestinationKey(Address(ipaddress.ip_address(address.strip("[]")).packed), int(port))


def _service_key(options: dict[str, str]) -> ServiceKey:
    kind = next(option for option in PROTOCOLS if option in options)
    if kind == "-f":
        return ServiceKey(10 if "-6" in options else 2, 0, Address(b""), 0, int(options["-f"]))
    address, port = _endpoint(options[kind])
    return ServiceKey(2 if len(address) == 4 else 10, PROTOCOLS[kind], address, port)


def _service(key: ServiceKey, options: dict[str, str]) -> ServiceAttributes:
    flags = sum(SCHEDULER_FLAGS[name] for name in options.get("-b", "").split(",") if name)
    flags |= ("-p" in options) * 1 | ("-o" in options) * 4
    full = 32 if key.family == 2 else 128
    mask = options.get("-M", str(full))
    prefix = ipaddress.ip_network(f"0.0.0.0/{mask}").prefixlen if "." in mask else int(mask)
    return ServiceAttributes(options["-s"], flags, int(options.get("-p", 0)), prefix, options.get("--pe", ""))


def _destination(options: dict[str, str]) -> DestinationAttributes:
    return DestinationAttributes(
        forwarding=next(value for option, value in FORWARDINGS.items() if option in options),
        weight=int(options["-w"]),
        tunnel_type=TUNNELS[options.get("--tun-type", "ipip")],
        tunnel_port=int(options.get("--tun-port", 0)),
        tunnel_flags=next((value for name, value in TUNNEL_FLAGS.items() if name in options), 0),
    )


def _thresholds() -> dict[tuple[ServiceKey, DestinationKey], tuple[int, int]]:
    found = {}
    service = None
    kinds = {"TCP": "-t", "UDP": "-u", "SCTP": "--sctp-service", "FWM": "-f"}
    for line in run("-Ln", "--thresholds").splitlines()[3:]:
        words = line.split()
        if words[0] in kinds:
            family = {"-6": ""} if words[0] == "FWM" and words[2] == "IPv6" else {}
            service = _service_key({kinds[words[0]]: words[1], **family})
        else:
            assert service is not None
            found[service, _endpoint(words[1])] = (int(words[2]), int(words[3]))
    return found
