import { testImage } from "../../../test/setup/docker.ts";
import { backendContract } from "../contract.ts";
import { dockerHarness } from "./testing/docker-harness.ts";

await backendContract("docker", dockerHarness(await testImage()));
