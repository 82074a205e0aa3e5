import { BerthError } from "../protocol/errors.ts";
import type { ObjectsConfig } from "./config.ts";
import type { ObjectStore } from "./objects/object-store.ts";
import type { ObjectTiers } from "./objects/object-tiers.ts";
import { isSameStore, openStore, type StoreLocation } from "./objects/store-location.ts";
import { readMarker, writeMarker } from "./objects/store-marker.ts";
import type { Database, Queryable } from "./store/database.ts";
import { knownStores, lockObjectStores, upsertStore } from "./store/object-stores.ts";

/**
 * Opens the configured stores, makes sure that they can be used, and finds out which stores of this installation they
 * are. A new store gets a marker; a place where a store of this installation was and is no longer is refused, as when
 * its disk is not mounted, and so is a store of another installation, whose collector would remove our objects.
 */
export async function openStores(
  { main, large, old, objectMinBytes, largeMinBytes }: ObjectsConfig,
  { database, installation, started }: { database: Database; installation: string; started: AsyncDisposableStack },
): Promise<ObjectTiers> {
  const open = async (location: StoreLocation) => {
    const store = await openStore(location);
    started.defer(() => store[Symbol.dispose]?.());
    return store;
  };
  const object = await open(main);
  await object.check();
  const isOne = isSameStore(main, large);
  const largeStore = isOne ? object : await open(large);
  if (!isOne) await largeStore.check();
  const readOnly = await Promise.all(old.map(open));
  return await database.transaction(async (client) => {
    await lockObjectStores(client);
    const identify = async (store: ObjectStore, setting: string, isNew: boolean) =>
      await identifyStore(client, store, { installation, setting, mayBeNew: isNew });
    // Places that were used before stores had markers get theirs when the first server knows of them.
    const isFirst = (await knownStores(client)).length === 0;
    const byId = new Map<string, ObjectStore>();
    for (const [index, store] of readOnly.entries()) {
      byId.set(await identify(store, old[index]!.setting, isFirst), store);
    }
    const objectId = await identify(object, main.setting, true);
    const largeId = isOne ? objectId : await identify(largeStore, large.setting, true);
    // A store that is used is not read by another way.
    byId.set(largeId, largeStore).set(objectId, object);
    const known = await knownStores(client);
    return {
      ...{ object, large: largeStore, objectMinBytes, largeMinBytes },
      known: {
        ids: { object: objectId, large: largeId },
        open: byId,
        first: known[0]!.id,
        places: new Map(known.map(({ id, place }) => [id, place])),
      },
    };
  });
}

async function identifyStore(
  db: Queryable,
  store: ObjectStore,
  { installation, setting, mayBeNew }: { installation: string; setting: string; mayBeNew: boolean },
): Promise<string> {
  const marker = await readMarker(store);
  if (marker === null) await refuseLost(db, store, setting, mayBeNew);
  const { id, installation: owner } = marker ?? (await writeMarker(store, installation));
  if (owner !== installation) {
    throw new BerthError("store_misconfigured", `The ${store.place} holds the data of another installation of Berth.`, {
      advice: `Set ${setting} to another folder or prefix: two installations would remove each other's objects.`,
    });
  }
  await upsertStore(db, { id, place: store.place });
  return id;
}

async function refuseLost(db: Queryable, store: ObjectStore, setting: string, mayBeNew: boolean): Promise<void> {
  const wasHere = (await knownStores(db)).some(({ place }) => place === store.place);
  if (wasHere) {
    throw new BerthError(
      "store_misconfigured",
      `The data of this installation is gone from ${store.place}: its berth-store.json is not there.`,
      {
        advice:
          `Check that the disk is mounted, or set ${setting} to where the data is now. ` +
          "If it is lost, use another folder or prefix: what was lost counts as missing, and is stored again when it is made again.",
      },
    );
  }
  if (mayBeNew) return;
  throw new BerthError("store_misconfigured", `The ${store.place} holds no data of this installation.`, {
    advice: `Correct ${setting}, or leave this place out of it.`,
  });
}
