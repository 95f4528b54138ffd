// WS_show (line): in the form's process, where its objects may be touched.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($line : Text)

Form.lines.push($line)
