import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import type { BeginSessionRequest, Session } from "../../../src/protocol/sessions.ts";
import { ask } from "../api/client.ts";
import { session } from "../api/queries.ts";
import { Button } from "../ui/button.tsx";
import { Command } from "../ui/command.tsx";
import { Problem } from "../ui/notice.tsx";
import styles from "./login.module.css";

/**
 * The code of the link that `berth ui` prints, until it is used. It is read before the pages change the address, and taken
 * out of it, so that it lies in no history.
 */
let linkCode = takeLinkCode();

function takeLinkCode(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code !== null) history.replaceState(history.state, "", location.pathname + location.search);
  return code;
}

export function Login() {
  const client = useQueryClient();
  const begin = useMutation({
    mutationFn: (body: BeginSessionRequest) => ask<Session>("/session", { method: "POST", body }),
    onSuccess: (begun) => client.setQueryData(session.queryKey, begun),
  });
  const { mutate } = begin;
  useEffect(() => {
    if (linkCode !== null) mutate({ code: linkCode });
    linkCode = null;
  }, [mutate]);
  const [token, setToken] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate({ token: token.trim() });
  };
  return (
    <main className={styles.login}>
      <img src="/icon.svg" alt="" width="48" height="48" />
      <h1>Log in to Berth</h1>
      {begin.isError && <Problem error={begin.error} />}
      <p>On the machine where Berth runs, or where you have logged in with the command line:</p>
      <Command>berth ui</Command>
      <p className={styles.or}>or</p>
      <form onSubmit={submit}>
        <label htmlFor="token">API token</label>
        <input
          id="token"
          type="password"
          autoComplete="off"
          required
          placeholder="brt_…"
          value={token}
          onChange={({ target }) => setToken(target.value)}
        />
        <Button kind="primary" type="submit" disabled={begin.isPending}>
          {begin.isPending ? "Logging in …" : "Log in"}
        </Button>
      </form>
    </main>
  );
}
