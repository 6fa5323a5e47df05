package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func installCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "install FILE|FOLDER",
		Short: "Copy this program to a file, out of an image without a shell",
		Long: `Copy this program to a file, out of an image without a shell.

The container image holds the program alone. In an init container this command
puts it into a volume, from where another container of the Pod runs it.`,
		Example: `  # The arguments of an init container that shares a volume
  oneloop install /custom-tools`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			path := args[0]
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				path = filepath.Join(path, "oneloop")
			}
			from, err := os.Open(program)
			if err != nil {
				return err
			}
			defer func() { _ = from.Close() }()
			beside, err := writeBeside(path, 0o755, func(w io.Writer) error {
				_, err := io.Copy(w, from)
				return err
			})
			if err != nil {
				return fmt.Errorf("install: %w", err)
			}
			if err := os.Rename(beside, path); err != nil {
				_ = os.Remove(beside)
				return fmt.Errorf("install: %w", err)
			}
			return nil
		},
	}
}
