//! The BFF's services and their procedures, in the order of the original definitions, which is that of the ids.

use crate::rpc::Module;

/// Offered before a login.
pub(super) static AUTHENTICATION: Module = Module {
    name: "BffAuthenticationService",
    procedures: &["GetChallenge", "Authenticate", "GetDisconnectionMessage"],
};

/// Offered after a login.
pub(super) static AFTER_LOGIN: [Module; 3] = [
    Module {
        name: "CommsService",
        procedures: &[
            "SubscribeToPeerMessages",
            "GetPeerMessages",
            "UnsubscribeToPeerMessages",
            "SubscribeToSystemMessages",
            "GetSystemMessages",
            "UnsubscribeToSystemMessages",
            "PublishToTopic",
        ],
    },
    Module { name: "TopicsService", procedures: &["PeerSubscription", "SystemSubscription", "PublishToTopic"] },
    Module { name: "CommsDirectorService", procedures: &["SendHeartbeat", "GetCommsCommands"] },
];

/// What a login's answer names, as the original does.
pub(super) const AVAILABLE: [&str; 2] = ["CommsService", "TopicsService"];
