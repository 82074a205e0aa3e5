import { GRPC_UNKNOWN, type GrpcCall, GrpcError } from "./grpc-server.ts";
import { fieldsOf, messageOf } from "./protobuf.ts";
import type { SentFile } from "./sent-files.ts";

/** Kinds of packets of a transfer of files (fsutil). */
const STAT = 0;
const REQUEST = 1;
const DATA = 2;
const FINISH = 3;
const FAILURE = 4;

/**
 * Sends files as a builder asks for them: first what there is, numbered, with an empty packet at the end; then the content
 * of those that it asks for by number; until it says that it has everything, which is said back.
 */
export async function sendFiles({ messages, send }: GrpcCall, files: AsyncIterable<SentFile>): Promise<void> {
  const sent: SentFile[] = [];
  const announce = async () => {
    try {
      for await (const file of files) {
        sent.push(file);
        await send(messageOf({ 2: statOf(file) }));
      }
      await send(messageOf({ 1: STAT }));
    } catch (error) {
      await send(messageOf({ 1: FAILURE, 4: (error as Error).message }));
      throw error;
    }
  };
  await Promise.all([announce(), answerRequests(messages, send, sent)]);
}

async function answerRequests(
  messages: GrpcCall["messages"],
  send: GrpcCall["send"],
  sent: readonly SentFile[],
): Promise<void> {
  for await (const packet of messages) {
    const { type, id, text } = readPacket(packet);
    if (type === FAILURE) throw new GrpcError(GRPC_UNKNOWN, `the builder could not take the context: ${text}`);
    if (type === FINISH) return send(messageOf({ 1: FINISH }));
    if (type !== REQUEST) throw new GrpcError(GRPC_UNKNOWN, `a builder sends no packet of the kind ${type}`);
    const content = sent[id]?.content;
    if (content == null) throw new GrpcError(GRPC_UNKNOWN, `there is no file ${id}`);
    for await (const chunk of content()) await send(messageOf({ 1: DATA, 3: id, 4: chunk }));
    await send(messageOf({ 1: DATA, 3: id }));
  }
}

/** Owners are those of root, since numbers mean nothing elsewhere. */
function statOf({ path, mode, size, modifiedNs, target }: SentFile): Buffer {
  return messageOf({ 1: path, 2: mode, 5: size, 6: modifiedNs, 7: target });
}

function readPacket(packet: Buffer): { readonly type: number; readonly id: number; readonly text: string } {
  let type = STAT;
  let id = 0;
  let text = "";
  for (const { field, value } of fieldsOf(packet)) {
    if (field === 1) type = Number(value);
    if (field === 3) id = Number(value);
    if (field === 4) text = value.toString();
  }
  return { type, id, text };
}
