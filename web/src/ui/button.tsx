import type { ButtonHTMLAttributes } from "react";
import styles from "./button.module.css";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** `primary` is what somebody came for, `danger` what ends something; one `primary` to a view. */
  readonly kind?: "primary" | "plain" | "danger";
}

export function Button({ kind = "plain", className, ...rest }: ButtonProps) {
  return <button type="button" className={`${styles.button} ${styles[kind]} ${className ?? ""}`} {...rest} />;
}
