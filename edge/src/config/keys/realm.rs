//! `kernels.*`, `comms.*`, `catalyst.*` and `ethereum.*`: the realm that existing kernels find.

use super::quoted;
use crate::config::Key;

pub(super) const KERNELS_BFF_P2P: Key = Key {
    name: "kernels.bff_p2p",
    flag: None,
    placeholder: "BOOL",
    help: "Whether kernels that offer `bff` are taken to have P2P, as those before 2023 do; those that offer `comms` always are",
    rule: "`true` or `false`",
    example: "",
    written: |config| Some(config.kernels.bff.p2p.to_string()),
    set: |config, value| value.boolean().map(|p2p| config.kernels.bff.p2p = p2p),
};

pub(super) const KERNELS_BFF_COORDINATES: Key = Key {
    name: "kernels.bff_coordinates",
    flag: None,
    placeholder: "TYPE",
    help: "The type of coordinates in island changes to kernels that offer `bff`; float is what those since April 2023 read",
    rule: "`double` or `float`",
    example: "",
    written: |config| Some(quoted(config.kernels.bff.coordinates)),
    set: |config, value| value.parse().map(|coordinates| config.kernels.bff.coordinates = coordinates),
};

pub(super) const KERNELS_ARCHIPELAGO_WS_ROOM: Key = Key {
    name: "kernels.archipelago_ws_room",
    flag: None,
    placeholder: "BOOL",
    help: "Whether clients of archipelago's WebSocket are taken to have WebSocket rooms; all have LiveKit",
    rule: "`true` or `false`",
    example: "",
    written: |config| Some(config.kernels.archipelago.ws_room.to_string()),
    set: |config, value| value.boolean().map(|ws_room| config.kernels.archipelago.ws_room = ws_room),
};

pub(super) const COMMS_FIXED_ADAPTER: Key = Key {
    name: "comms.fixed_adapter",
    flag: None,
    placeholder: "STRING",
    help: "The room of a realm where all kernels are in one, as a connection string; they go by islands when not set",
    rule: "`livekit:<url>`, `ws-room:<url>`, `signed-login:<url>`, `offline:<anything>` or `simulator:<anything>`",
    example: "\"signed-login:https://rooms.example.org/signed-login\"",
    written: |config| config.fixed_adapter.as_ref().map(quoted),
    set: |config, value| value.parse().map(|adapter| config.fixed_adapter = Some(adapter)),
};

pub(super) const CATALYST_CONTENT_URL: Key = Key {
    name: "catalyst.content_url",
    flag: None,
    placeholder: "URL",
    help: "The realm's content server, which `/about` names and `/hot-scenes` asks; absent there when not set",
    rule: "an `http` or `https` URL without a query or a password",
    example: "\"https://peer.example.org/content\"",
    written: |config| config.catalyst.content.as_ref().map(quoted),
    set: |config, value| value.parse().map(|url| config.catalyst.content = Some(url)),
};

pub(super) const CATALYST_LAMBDAS_URL: Key = Key {
    name: "catalyst.lambdas_url",
    flag: None,
    placeholder: "URL",
    help: "The realm's lambdas server, which `/about` names and asks how it and the content server are; absent there when not set",
    rule: "an `http` or `https` URL without a query or a password",
    example: "\"https://peer.example.org/lambdas\"",
    written: |config| config.catalyst.lambdas.as_ref().map(quoted),
    set: |config, value| value.parse().map(|url| config.catalyst.lambdas = Some(url)),
};

pub(super) const ETHEREUM_NETWORK: Key = Key {
    name: "ethereum.network",
    flag: None,
    placeholder: "NAME",
    help: "The Ethereum network that `/about` names; none when not set",
    rule: "`mainnet`, `goerli` or `sepolia`",
    example: "\"mainnet\"",
    written: |config| config.ethereum_network.as_ref().map(quoted),
    set: |config, value| value.parse().map(|network| config.ethereum_network = Some(network)),
};

pub(super) const ETHEREUM_RPC_URL: Key = Key {
    name: "ethereum.rpc_url",
    flag: None,
    placeholder: "URL",
    help: "The Ethereum node that is asked about logins by contract wallets; they are refused when not set",
    rule: "an `http` or `https` URL",
    example: "\"https://rpc.example.org/mainnet\"",
    written: |config| config.ethereum_rpc_url.as_ref().map(quoted),
    set: |config, value| value.parse().map(|url| config.ethereum_rpc_url = Some(url)),
};
