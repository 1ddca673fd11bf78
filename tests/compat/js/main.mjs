// Entry point of the JavaScript runner: imports every scenario file and runs them.

import { runAll } from "./kit.mjs";
import "./scenarios/seeds.mjs";
import "./scenarios/messaging.mjs";
import "./scenarios/requests.mjs";
import "./scenarios/information.mjs";
import "./scenarios/auth.mjs";
import "./scenarios/permissions.mjs";
import "./scenarios/accounts.mjs";
import "./scenarios/system.mjs";
import "./scenarios/tls.mjs";
import "./scenarios/limits.mjs";
import "./scenarios/draining.mjs";
import "./scenarios/reconnecting.mjs";
import "./scenarios/health.mjs";
import "./scenarios/services.mjs";
import "./scenarios/legacy.mjs";
import "./scenarios/streams.mjs";
import "./scenarios/consumers.mjs";
import "./scenarios/keyvalue.mjs";
import "./scenarios/objects.mjs";
import "./scenarios/persistence.mjs";

process.on("unhandledRejection", (error) => {
  console.log(`not ok kit/unhandled_rejection: ${String(error).replace(/\s+/g, " ")}`);
  process.exit(1);
});

const failed = await runAll(process.env.NATTER_COMPAT_FILTER ?? "");
process.exit(failed.length > 0 ? 1 : 0);
