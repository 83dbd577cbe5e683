// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

// Wallets that are contracts, for contracts.test.mjs. A signature is the owner's 65 bytes and one more, so that clients do
// not take it for a key's own.

library Signatures {
    function signer(bytes32 digest, bytes calldata signature) internal pure returns (address) {
        if (signature.length != 66) return address(0);
        bytes32 r = bytes32(signature[:32]);
        bytes32 s = bytes32(signature[32:64]);
        return ecrecover(digest, uint8(signature[64]), r, s);
    }
}

// EIP-1654, and EIP-1271 as it was agreed on in the end: both ask the same and want the same answer.
contract Wallet {
    address private immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return Signatures.signer(digest, signature) == owner ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

// Says no by reverting, as many do.
contract RevertingWallet {
    address private immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        require(Signatures.signer(digest, signature) == owner, "not the owner");
        return 0x1626ba7e;
    }
}

// The draft of EIP-1271 before that, with the whole text in place of its digest.
contract DraftWallet {
    address private immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes calldata text, bytes calldata signature) external view returns (bytes4) {
        return Signatures.signer(keccak256(text), signature) == owner ? bytes4(0x20c13b0b) : bytes4(0xffffffff);
    }
}

// No wallet: says yes to everything, but not in the word that means it.
contract Agreeable {
    constructor(address) {}

    fallback(bytes calldata) external returns (bytes memory) {
        return abi.encode(uint256(0x1626ba7e));
    }
}
