import { Link } from "@tanstack/react-router";
import { Empty } from "../ui/notice.tsx";

export function NotFound() {
  return (
    <Empty title="There is no page here">
      <p>
        <Link to="/runs">All runs</Link>
      </p>
    </Empty>
  );
}
